#include "tools/remuda/doctor/host_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

using result = std::optional<finding>;

result found(severity how_bad, std::string what, std::string effect, std::string change) {
  return finding{{}, how_bad, std::move(what), std::move(effect), std::move(change)};
}

// How the quota of a group is lifted. Behind the files there is mostly somebody who writes them again.
std::string lift_quota(const topo::cgroup_level& group) {
  const std::string command = group.version == 2 ? fmt::format("echo max > {}/cpu.max", group.folder)
                                                 : fmt::format("echo -1 > {}/cpu.cfs_quota_us", group.folder);
  return command + " (or where it is set: CPUQuota= of a systemd unit, --cpus of docker, limits.cpu of Kubernetes)";
}

const topo::cgroup_level* strictest_group(const patient& who) {
  const topo::cgroup_level* strictest = nullptr;
  if (who.host == nullptr) return strictest;
  for (const auto& each : who.host->cgroups) {
    if (each.quota && (strictest == nullptr || *each.quota < *strictest->quota)) strictest = &each;
  }
  return strictest;
}

std::string lift_strictest_quota(const patient& who) {
  const topo::cgroup_level* group = strictest_group(who);
  if (group != nullptr && *group->quota == who.usable.cpu_quota) return lift_quota(*group);
  return "give the group a quota of at least as many CPUs as it has threads that run, or none";
}

constexpr unsigned cap_ipc_lock = 14, cap_sys_admin = 21, cap_sys_nice = 23, cap_sys_resource = 24;

bool is_capable(const topo::host& host, unsigned capability) { return (host.capabilities >> capability & 1) != 0; }

bool below(const topo::resource_limit& limit, std::uint64_t needed) { return limit.soft && *limit.soft < needed; }

// What a limit is raised with, up to the hard limit by anybody, beyond it by root.
std::string raise(const topo::resource_limit& limit, std::uint64_t to, std::string_view ulimit, std::string_view item,
                  std::string_view directive, std::uint64_t shown) {
  if (!limit.hard || *limit.hard >= to)
    return fmt::format("ulimit -S{} {} before the program is started", ulimit, shown);
  return fmt::format(
      "a line \"USER - {} {}\" in /etc/security/limits.d/remuda.conf and a new login, or {}={} in the "
      "systemd unit, or --ulimit of docker",
      item, shown, directive, to);
}

}  // namespace

result throttled(const patient& who) {
  if (who.host == nullptr) return {};
  const topo::cgroup_level* worst = nullptr;
  for (const auto& each : who.host->cgroups) {
    if (each.throttled_periods != 0 && (worst == nullptr || each.throttled_ns > worst->throttled_ns)) worst = &each;
  }
  if (worst == nullptr) return {};
  const double each_ms = static_cast<double>(worst->throttled_ns) / 1e6 / static_cast<double>(worst->throttled_periods);
  return found(
      worst->quota ? severity::hurts : severity::note,
      fmt::format("The kernel has stopped the group {} in {} of {} periods because its quota was used up",
                  worst->folder, worst->throttled_periods, worst->periods),
      fmt::format("all threads of the group stood still, for {:.3g} ms at a time on average, added up over its "
                  "CPUs",
                  each_ms),
      worst->quota ? lift_quota(*worst) : "nothing: the group has no quota any more");
}

result quota_below_one(const patient& who) {
  if (!(who.usable.cpu_quota < 1)) return {};
  return found(
      severity::hurts, fmt::format("The quota of {:g} CPUs is less than one CPU", who.usable.cpu_quota),
      fmt::format("a single busy thread already uses it up, and then waits for the end of the period: {:.0f} ms of "
                  "every 100 ms, the usual period",
                  (1 - who.usable.cpu_quota) * 100),
      lift_strictest_quota(who));
}

result quota(const patient& who) {
  const double allowed = who.usable.cpu_quota;
  const auto cpus = static_cast<double>(who.usable.cpus.size());
  if (!(allowed < cpus) || allowed < 1) return {};
  const double left = allowed - std::floor(allowed);
  return found(
      severity::may_hurt,
      fmt::format("A quota of {:g} CPUs for {:g} CPUs in the mask{}", allowed, cpus,
                  left > 0 && who.workers == who.usable.usable()
                      ? fmt::format("; a pool has {}, as {:g} would overdraw it", counted(who.workers, "worker"),
                                    std::ceil(allowed))
                      : ""),
      "threads beside the workers, and second pools, use up the quota as well; then all stop until the period ends",
      fmt::format("instead of a quota a cpuset of {} CPUs, which never stops anybody; else {}", std::ceil(allowed),
                  lift_strictest_quota(who)));
}

result load(const patient& who) {
  if (who.host == nullptr || who.host->online.empty()) return {};
  const auto cpus = static_cast<double>(who.host->online.size());
  const double share = who.host->load_1min / cpus;
  if (share < 0.5) return {};
  return found(
      share >= 1 ? severity::hurts : severity::may_hurt,
      fmt::format("On average {:.1f} threads were running or waiting to run in the last minute, on {:g} CPUs",
                  who.host->load_1min, cpus),
      share >= 1 ? "workers wait for CPUs that others use, some ms at a time"
                 : "a worker that wakes up may find its CPU in use",
      "see with top who that is; move it elsewhere, give it lower priority (nice, CPUWeight= of systemd), or give "
      "this program CPUs of its own (cpuset, isolcpus=)");
}

result stolen_time(const patient& who) {
  if (who.host == nullptr || who.host->steal_share.value_or(0) < 0.001) return {};
  const double share = *who.host->steal_share;
  return found(
      share >= 0.01 ? severity::hurts : severity::may_hurt,
      fmt::format("The hypervisor has kept {:.2f} % of the CPU time for others since boot", share * 100),
      "threads stand still for some ms without knowing, also while they hold what others wait for",
      "on the hypervisor's side: dedicated CPUs (an instance type without shared ones, <vcpupin> of libvirt), or "
      "fewer virtual CPUs than this host has");
}

result clock_source(const patient& who) {
  if (who.host == nullptr || who.host->clock_source.empty()) return {};
  static constexpr std::array<std::string_view, 8> quick{
      "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "riscv_clocksource",
      "tod", "stp"};
  if (std::find(quick.begin(), quick.end(), who.host->clock_source) != quick.end()) return {};
  return found(
      severity::hurts, fmt::format("The clock source is {}, not tsc", who.host->clock_source),
      "every look at the clock is a system call of about a microsecond, and time limits and spinning look often",
      "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource; if the kernel has marked it "
      "unstable (see dmesg), tsc=reliable on its command line where you know better");
}

result huge_pages(const patient& who) {
  if (who.host == nullptr) return {};
  const bool always = who.host->transparent_huge_pages == "always";
  const bool waits = who.host->huge_page_defrag == "always";
  if (!always) return {};
  return found(waits ? severity::hurts : severity::may_hurt,
               fmt::format("Transparent huge pages are given to all memory{}",
                           waits ? ", and a page fault waits until one has been put together" : ""),
               waits ? "a first touch of memory can take milliseconds"
                     : "the kernel clears 2 MiB at a first touch, and moves pages about behind the program",
               "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; echo defer+madvise > "
               "/sys/kernel/mm/transparent_hugepage/defrag");
}

result governor(const patient& who) {
  if (who.host == nullptr) return {};
  std::string others;
  for (const std::string& each : who.host->governors) {
    if (each != "performance") others += (others.empty() ? "" : ", ") + each;
  }
  if (others.empty()) return {};
  return found(severity::hurts, fmt::format("The frequency governor is {}, not performance", others),
               "after a pause a CPU starts slowly and needs some ms to reach its frequency",
               "cpupower frequency-set -g performance; or: echo performance | tee "
               "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor");
}

result deep_idle(const patient& who) {
  constexpr std::uint64_t like_a_wake_up = 20;  // us
  if (who.host == nullptr || who.host->deepest_idle_us.value_or(0) <= like_a_wake_up) return {};
  return found(
      severity::may_hurt,
      fmt::format("Idle CPUs may sleep so deeply that they need {} us to come back", *who.host->deepest_idle_us),
      "so much later starts the first task after a pause, unless workers spin",
      fmt::format("cpupower idle-set -D {}; or the wait policy busy_poll", like_a_wake_up));
}

result numa_balancing(const patient& who) {
  if (who.host == nullptr || !who.host->numa_balancing.value_or(false) || who.whole.nodes.size() < 2) return {};
  return found(
      severity::may_hurt, "The kernel balances memory between NUMA nodes by itself",
      "it unmaps pages now and then to see who touches them: page faults in bursts, for memory that the pools have "
      "already placed",
      "sysctl kernel.numa_balancing=0");
}

result descriptors(const patient& who) {
  const std::uint64_t needed = 5 * std::uint64_t{who.workers} + 32;
  if (who.host == nullptr || !below(who.host->descriptors, needed)) return {};
  return found(
      severity::hurts,
      fmt::format("The limit of {} open descriptors is too low for a process pool of {}", *who.host->descriptors.soft,
                  counted(who.workers, "worker")),
      fmt::format("the pool does not start: it needs about {}", needed),
      raise(who.host->descriptors, needed, "n", "nofile", "LimitNOFILE", std::max<std::uint64_t>(needed, 1024)));
}

result processes(const patient& who) {
  const std::uint64_t needed = 2 * std::uint64_t{who.workers} + 64;
  if (who.host == nullptr || !below(who.host->processes, needed)) return {};
  if (is_capable(*who.host, cap_sys_resource) || is_capable(*who.host, cap_sys_admin)) return {};
  return found(severity::hurts,
               fmt::format("The limit of {} processes and threads of this user is low for {}",
                           *who.host->processes.soft, counted(who.workers, "worker")),
               "pools may not start, or not replace a worker that has died",
               raise(who.host->processes, needed, "u", "nproc", "LimitNPROC", std::max<std::uint64_t>(needed, 4096)));
}

result rtprio(const patient& who) {
  if (who.host == nullptr || !below(who.host->rtprio, 1) || is_capable(*who.host, cap_sys_nice)) return {};
  return found(severity::may_hurt, "No real-time priority is allowed (limit rtprio 0)",
               "a program cannot put its urgent threads before everything else that runs here",
               raise(who.host->rtprio, 50, "r", "rtprio", "LimitRTPRIO", 50));
}

result memlock(const patient& who) {
  constexpr std::uint64_t some = std::uint64_t{64} << 20;
  if (who.host == nullptr || !below(who.host->memlock, some) || is_capable(*who.host, cap_ipc_lock)) return {};
  return found(severity::may_hurt,
               fmt::format("Only {} of memory may be locked (limit memlock)", bytes(*who.host->memlock.soft)),
               "a program cannot keep its memory from being paged out (mlockall): page faults of us, from a disk of ms",
               raise(who.host->memlock, some, "l", "memlock", "LimitMEMLOCK", some >> 10));
}

result hypervisor(const patient& who) {
  if (who.host == nullptr || who.host->hypervisor.empty()) return {};
  return found(
      severity::note, fmt::format("This is a virtual machine ({})", who.host->hypervisor),
      "waking a sleeping CPU goes through the hypervisor, which takes several times as long",
      "nothing in here; a machine without hypervisor, or idle=poll / haltpoll on the kernel's command line if CPUs "
      "may be kept busy");
}

result isolation(const patient& who) {
  if (who.host == nullptr || !who.host->isolated.empty() || !who.host->nohz_full.empty()) return {};
  if (who.usable.cpus.size() < 2) return {};
  return found(
      severity::note, "No CPUs are set apart for latency-sensitive threads (isolcpus=, nohz_full=)",
      "other processes, interrupts and the timer tick use the workers' CPUs, some us at a time",
      "isolcpus=managed_irq,domain,LIST nohz_full=LIST rcu_nocbs=LIST on the kernel's command line, and start the "
      "program with taskset -c LIST");
}

result boost(const patient& who) {
  if (who.host == nullptr || !who.host->boost.value_or(false)) return {};
  return found(severity::note, "CPUs may run faster than their nominal frequency (boost)",
               "how much faster depends on heat and on the neighbours, so times vary by some tens of per cent",
               "for steady times: echo 0 > /sys/devices/system/cpu/cpufreq/boost, or echo 1 > "
               "/sys/devices/system/cpu/intel_pstate/no_turbo");
}

}  // namespace remuda::tool
