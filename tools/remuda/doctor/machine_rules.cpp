#include "tools/remuda/doctor/machine_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

using result = std::optional<finding>;
using topo::cpu_use;

result found(severity how_bad, std::string what, std::string effect, std::string change) {
  return finding{{}, how_bad, std::move(what), std::move(effect), std::move(change)};
}

std::vector<unsigned> cpus_of_use(const patient& who, cpu_use use) {
  std::vector<unsigned> numbers;
  for (const auto& each : who.whole.threads) {
    if (each.use == use) numbers.push_back(each.what.os_index);
  }
  return numbers;
}

// Of the parts (cores, L3 groups) that `member` names, the CPUs that may be used where others of the same part may not.
std::vector<unsigned> shared_with_strangers(const patient& who, unsigned cpu::*member) {
  std::map<unsigned, bool> has_strangers;
  for (const auto& each : who.whole.threads) {
    if (each.use == cpu_use::not_in_mask || each.use == cpu_use::not_in_cpuset) has_strangers[each.what.*member] = true;
  }
  std::vector<unsigned> numbers;
  for (const auto& each : who.whole.threads) {
    if (each.use != cpu_use::allowed || each.what.*member == unknown_id) continue;
    if (has_strangers.count(each.what.*member) != 0) numbers.push_back(each.what.os_index);
  }
  return numbers;
}

std::vector<unsigned> usable_cores(const patient& who) {
  std::vector<unsigned> cores;
  cores.reserve(who.usable.cpus.size());
  for (const cpu& each : who.usable.cpus) cores.push_back(each.core);
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  return cores;
}

std::string these_cpus(const std::vector<unsigned>& numbers) {
  return fmt::format("{} {}", numbers.size() == 1 ? "CPU" : "CPUs", list(numbers));
}

}  // namespace

result one_cpu(const patient& who) {
  if (who.usable.cpus.size() != 1) return {};
  return found(
      severity::may_hurt, fmt::format("Only CPU {} may be used", who.usable.cpus.front().os_index),
      "a worker and the thread that waits for it take turns, and spinning only keeps the other one from running",
      who.whole.threads.size() > 1
          ? "more CPUs in the mask or the cpuset (see the notes on them), and the wait policy efficient until then"
          : "the wait policy efficient; the machine has no other CPU");
}

result node_without_memory(const patient& who) {
  std::vector<unsigned> cpus, nodes;
  const bool told = who.whole.memory_bytes() != 0;  // a described machine may tell of no memory at all
  for (const auto& node : who.whole.nodes) {
    if (!told || node.memory_bytes != 0) continue;
    const std::size_t before = cpus.size();
    for (const cpu& each : who.usable.cpus) {
      if (each.numa_node == node.os_index) cpus.push_back(each.os_index);
    }
    if (cpus.size() != before) nodes.push_back(node.os_index);
  }
  if (nodes.empty()) return {};
  std::sort(cpus.begin(), cpus.end());
  return found(severity::hurts,
               fmt::format("NUMA {} {} no memory, but {} of it may be used", counted(nodes.size(), "node"),
                           nodes.size() == 1 ? "has" : "have", these_cpus(cpus)),
               "workers there have all their memory on another node, and every miss of the caches takes longer",
               fmt::format("memory modules for node {}; or start the program without its CPUs (taskset)", list(nodes)));
}

result smt_sharing(const patient& who) {
  const std::vector<unsigned> cores = usable_cores(who);
  if (who.workers <= cores.size()) return {};
  std::vector<unsigned> first_threads;
  for (const cpu& each : who.usable.cpus) {
    if (each.smt_rank == 0) first_threads.push_back(each.os_index);
  }
  return found(
      severity::may_hurt,
      fmt::format("{} share {} as their hardware threads", counted(who.workers, "worker"),
                  counted(cores.size(), "core")),
      "two busy threads of a core slow each other down, up to a factor of two: more work a second, but each task "
      "takes longer",
      fmt::format("{} workers, or taskset -c {}; for the whole machine: echo off > "
                  "/sys/devices/system/cpu/smt/control",
                  cores.size(), list(first_threads)));
}

result partial_cores(const patient& who) {
  const std::vector<unsigned> cpus = shared_with_strangers(who, &cpu::core);
  if (cpus.empty()) return {};
  return found(severity::may_hurt,
               fmt::format("{} may be used, but not the other hardware threads of the same cores", these_cpus(cpus)),
               "whoever runs on those slows the workers down, up to a factor of two",
               "a mask or cpuset of whole cores: see `remuda topo` for which CPUs are one");
}

result core_kinds(const patient& who) {
  if (who.whole.kinds.size() < 2) return {};
  std::map<unsigned, std::vector<unsigned>> cpus_of_kind;
  for (const auto& each : who.whole.threads) {
    if (each.use == cpu_use::allowed && each.kind < who.whole.kinds.size()) {
      cpus_of_kind[each.kind].push_back(each.what.os_index);
    }
  }
  if (cpus_of_kind.size() < 2) return {};
  const auto& [fastest, fast_cpus] = *cpus_of_kind.rbegin();
  return found(severity::may_hurt,
               fmt::format("{} kinds of cores may be used; the fastest ones, {}, have {}", cpus_of_kind.size(),
                           who.whole.kinds[fastest].name, these_cpus(fast_cpus)),
               "how long a task takes depends on where it runs",
               fmt::format("for the shortest tasks: taskset -c {}", list(fast_cpus)));
}

result partial_caches(const patient& who) {
  const std::vector<unsigned> cpus = shared_with_strangers(who, &cpu::l3);
  if (cpus.empty()) return {};
  return found(severity::note, fmt::format("{} share an L3 cache with CPUs that may not be used", these_cpus(cpus)),
               "what others run there takes away room in it",
               "a mask or cpuset of whole L3 groups, or a part of the cache (resctrl)");
}

result cpuset(const patient& who) {
  const std::vector<unsigned> out = cpus_of_use(who, cpu_use::not_in_cpuset);
  if (out.empty()) return {};
  std::string where = "cpuset.cpus of this group or of one above";
  if (who.host != nullptr) {
    for (const auto& each : who.host->cgroups) {
      if (!each.cpuset.empty()) where = fmt::format("{}/cpuset.cpus (now {})", each.folder, each.cpuset);
    }
  }
  return found(severity::note,
               fmt::format("The cpuset leaves out {} of {}: {}", counted(out.size(), "CPU"), who.whole.threads.size(),
                           list(out)),
               "a pool has no workers there",
               where + ", if they shall be used (AllowedCPUs= of systemd, --cpuset-cpus of docker)");
}

result mask(const patient& who) {
  const std::vector<unsigned> out = cpus_of_use(who, cpu_use::not_in_mask);
  if (out.empty()) return {};
  return found(
      severity::note,
      fmt::format("The affinity mask leaves out {} of {}: {}", counted(out.size(), "CPU"), who.whole.threads.size(),
                  list(out)),
      "a pool has no workers there",
      "if they shall be used, start the program without taskset or with a longer list (CPUAffinity= of systemd)");
}

result offline_cpus(const patient& who) {
  const std::vector<unsigned> out = cpus_of_use(who, cpu_use::offline);
  if (out.empty()) return {};
  return found(severity::note, fmt::format("{} {} offline", these_cpus(out), out.size() == 1 ? "is" : "are"),
               "a pool has no workers there",
               fmt::format("if they shall be used: echo 1 > /sys/devices/system/cpu/cpu{}/online", out.front()));
}

}  // namespace remuda::tool
