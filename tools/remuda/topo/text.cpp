// The text form: a tree, one line for each part of a small machine, one line for all equal parts of a large one; then
// what may be used, the settings, and the workers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "tools/remuda/topo/parts.hpp"
#include "tools/remuda/topo/report.hpp"
#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

using text = fmt::memory_buffer;

template <class... Args>
void put(text& into, fmt::format_string<Args...> form, Args&&... args) {
  fmt::format_to(std::back_inserter(into), form, std::forward<Args>(args)...);
}

constexpr std::size_t most_threads_one_by_one = 32;  // a screenful
constexpr unsigned most_workers_one_by_one = 16;

// --- the tree

class tree_writer {
 public:
  tree_writer(text& into, const topo_report& report)
      : into_(into), whole_(report.machine.whole), workers_(workers_of_threads(report)) {}

  void write() {
    const part machine = parts_of(whole_);
    write_children({&machine}, 0);
  }

 private:
  using parts = std::vector<const part*>;  // of one level, all of one shape

  // What two parts must have in common to be told in one line.
  std::string shape(const part& of) const {
    if (of.what == level::thread) {
      const auto& thread = whole_.threads[of.thread];
      return fmt::format("t{}.{}.{}", static_cast<int>(thread.use), thread.kind, workers_[of.thread].size());
    }
    std::string all =
        fmt::format("{}.{}(", static_cast<int>(of.what), of.what == level::node ? 0 : size_of(whole_, of));
    std::string last;
    std::size_t times = 0;
    const auto close = [&] {
      if (times != 0) all += fmt::format("{}x{};", times, last);
    };
    for (const part& each : of.parts) {
      std::string next = shape(each);
      if (next != last) {
        close();
        last = std::move(next);
        times = 0;
      }
      ++times;
    }
    close();
    return all + ')';
  }

  // Equal children that follow each other, of all of these parents at once, as those are equal themselves.
  void write_children(const parts& parents, std::size_t depth) {
    const std::vector<part>& first = parents.front()->parts;
    const bool one_by_one = whole_.threads.size() <= most_threads_one_by_one;
    for (std::size_t begin = 0, end = 0; begin < first.size(); begin = end) {
      end = begin + 1;
      const std::string same = one_by_one ? std::string() : shape(first[begin]);
      while (!one_by_one && end < first.size() && shape(first[end]) == same) ++end;
      parts all;
      all.reserve(parents.size() * (end - begin));
      for (const part* parent : parents) {
        for (std::size_t i = begin; i < end; ++i) all.push_back(&parent->parts[i]);
      }
      write_part(all, parents.size() > 1 ? end - begin : 0, depth);
    }
  }

  // `each` = how many of them every part above has; 0 = there is one above
  void write_part(const parts& all, std::size_t each, std::size_t depth) {
    const part& first = *all.front();
    std::vector<unsigned> ids;
    ids.reserve(all.size());
    for (const part* one : all) ids.push_back(one->id);
    std::sort(ids.begin(), ids.end());
    put(into_, "{:{}}{}{} {}", "", 2 * depth, name(first.what), all.size() > 1 ? plural(first.what) : "", list(ids));
    if (each != 0) put(into_, " ({} in each)", each);
    put(into_, "{}", size(all));
    if (first.what == level::core) {
      write_threads(all, depth);
    } else {
      if (first.what == level::node && first.parts.empty()) put(into_, "   without CPUs");
      put(into_, "\n");
      if (!first.parts.empty()) write_children(all, depth + 1);
    }
  }

  // A core ends its line with its threads; of many cores the first threads are a line, and the second ones.
  void write_threads(const parts& cores, std::size_t depth) {
    const auto& kind = whole_.threads[cores.front()->parts.front().thread].kind;
    if (kind < whole_.kinds.size()) put(into_, "   {}", whole_.kinds[kind].name);
    const std::size_t count = cores.front()->parts.size();
    const bool in_lines = cores.size() > 1 && count > 1;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<unsigned> numbers, workers;
      numbers.reserve(cores.size());
      for (const part* core : cores) {
        numbers.push_back(core->parts[i].id);
        const auto& here = workers_[core->parts[i].thread];
        workers.insert(workers.end(), here.begin(), here.end());
      }
      std::sort(numbers.begin(), numbers.end());
      std::sort(workers.begin(), workers.end());
      if (in_lines) {
        put(into_, "\n{:{}}threads {}:", "", 2 * depth + 2, i + 1);
      } else {
        put(into_, "  ");
      }
      put(into_, " {} {}", numbers.size() > 1 ? "CPUs" : "CPU", list(numbers));
      const topo::cpu_use use = whole_.threads[cores.front()->parts[i].thread].use;
      if (use != topo::cpu_use::allowed) {
        put(into_, " [{}]", topo::to_string(use));
      } else if (workers.empty()) {
        put(into_, " (no worker)");
      } else {
        put(into_, " = {} {}", workers.size() > 1 ? "workers" : "worker", list(workers));
      }
    }
    put(into_, "\n");
  }

  std::string size(const parts& all) const {
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max(), most = 0;
    for (const part* one : all) {
      least = std::min(least, size_of(whole_, *one));
      most = std::max(most, size_of(whole_, *one));
    }
    if (most == 0) {
      // A description may tell of no memory at all.
      return all.front()->what == level::node && whole_.memory_bytes() != 0 ? "   no memory" : "";
    }
    const char* each = all.size() > 1 ? " each" : "";
    if (bytes(least) == bytes(most)) return fmt::format("   {}{}", bytes(most), each);
    return fmt::format("   {} to {}{}", bytes(least), bytes(most), each);
  }

  static const char* name(level what) {
    switch (what) {
      case level::machine:
        return "machine";
      case level::package:
        return "package";
      case level::node:
        return "NUMA node";
      case level::l3:
        return "L3";
      case level::l2:
        return "L2";
      case level::core:
        return "core";
      case level::thread:
        return "CPU";
    }
    return "";
  }
  static const char* plural(level what) { return what == level::l3 || what == level::l2 ? "" : "s"; }

  text& into_;
  const topo::whole_machine& whole_;
  std::vector<std::vector<unsigned>> workers_;
};

// --- the rest

std::string list_or(const std::vector<unsigned>& numbers, const char* if_none) {
  return numbers.empty() ? if_none : list(numbers);
}

void put_row(text& into, std::string_view name, std::string_view value) { put(into, "  {:<24}{}\n", name, value); }

template <class Member>
std::size_t distinct(const topo::whole_machine& whole, Member member) {
  std::vector<unsigned> ids;
  for (const auto& each : whole.threads) {
    if (each.what.*member != unknown_id) ids.push_back(each.what.*member);
  }
  std::sort(ids.begin(), ids.end());
  return static_cast<std::size_t>(std::unique(ids.begin(), ids.end()) - ids.begin());
}

void put_heading(text& into, const topo_report& report) {
  const topo::whole_machine& whole = report.machine.whole;
  if (report.host) {
    put(into, "This machine: {}, Linux {}{}\n", report.host->cpu_model.empty() ? "CPU unknown" : report.host->cpu_model,
        report.host->kernel,
        report.host->hypervisor.empty() ? "" : ", in a virtual machine (" + report.host->hypervisor + ")");
  } else {
    put(into, "A described machine, of which only the topology is known\n");
  }
  put(into, "{}, {}", counted(whole.threads.size(), "CPU"), counted(distinct(whole, &cpu::core), "core"));
  for (std::size_t k = whole.kinds.size(); k-- > 0;) {
    put(into, "{}{} {}", k + 1 == whole.kinds.size() ? " (CPUs by kind of core: " : ", ", whole.kinds[k].threads,
        whole.kinds[k].name);
  }
  if (!whole.kinds.empty()) put(into, ")");
  if (const std::size_t packages = distinct(whole, &cpu::package); packages != 0) {
    put(into, ", {}", counted(packages, "package"));
  }
  if (!whole.nodes.empty()) put(into, ", {}", counted(whole.nodes.size(), "NUMA node"));
  if (whole.memory_bytes() != 0) put(into, ", {}", bytes(whole.memory_bytes()));
  put(into, "\n\n");
}

void put_unusable(text& into, const topo::whole_machine& whole) {
  for (const auto use : {topo::cpu_use::not_in_mask, topo::cpu_use::not_in_cpuset, topo::cpu_use::offline}) {
    const std::vector<unsigned> cpus = cpus_of_use(whole, use);
    if (!cpus.empty()) put_row(into, topo::to_string(use), list(cpus));
  }
}

void put_distances(text& into, const topo::whole_machine& whole) {
  const std::size_t count = whole.nodes.size();
  if (count < 2) return;
  put(into, "\nNUMA distances\n");
  if (whole.node_distances.size() != count * count) {
    put(into, "  not told; nodes of one package count as nearer\n");
    return;
  }
  put(into, "  from \\ to");
  for (const auto& node : whole.nodes) put(into, "{:>5}", node.os_index);
  for (std::size_t from = 0; from < count; ++from) {
    put(into, "\n  {:>9}", whole.nodes[from].os_index);
    for (std::size_t to = 0; to < count; ++to) put(into, "{:>5}", whole.node_distances[from * count + to]);
  }
  put(into, "\n");
}

void put_use(text& into, const topo_report& report) {
  const topology& usable = report.machine.usable;
  std::vector<unsigned> cpus;
  cpus.reserve(usable.cpus.size());
  for (const cpu& each : usable.cpus) cpus.push_back(each.os_index);
  put(into, "\nMay be used\n");
  put_row(into, "CPUs",
          fmt::format("{} ({} of {}{})", list(cpus), cpus.size(), report.machine.whole.threads.size(),
                      report.machine.mask_given ? ", as --cpus says" : ""));
  put_unusable(into, report.machine.whole);
  put_row(into, "quota",
          std::isinf(usable.cpu_quota)
              ? std::string("none")
              : fmt::format("{:g} CPUs{}", usable.cpu_quota, report.machine.quota_given ? ", as --quota says" : ""));
  if (!report.host) return;
  for (const topo::cgroup_level& each : report.host->cgroups) {
    std::string what = each.quota ? fmt::format("quota {:g} CPUs", *each.quota) : "";
    if (!each.cpuset.empty()) what += (what.empty() ? "cpuset " : ", cpuset ") + each.cpuset;
    if (what.empty()) what = "no limit";
    if (each.periods != 0) {
      what += fmt::format(", held up in {} of {} periods, {:.3g} ms in all", each.throttled_periods, each.periods,
                          static_cast<double>(each.throttled_ns) / 1e6);
    }
    put_row(into, fmt::format("group (version {})", each.version), fmt::format("{}: {}", each.folder, what));
  }
}

std::string limit(const topo::resource_limit& of, bool in_bytes) {
  const auto value = [&](const std::optional<std::uint64_t>& one) {
    if (!one) return std::string("unlimited");
    return in_bytes ? bytes(*one) : std::to_string(*one);
  };
  return value(of.soft) + " (can be raised to " + value(of.hard) + ")";
}

std::string on_or_off(const std::optional<bool>& value) { return !value ? "not told" : *value ? "on" : "off"; }

std::string told(const std::string& value) { return value.empty() ? "not told" : value; }

void put_settings(text& into, const topo::host& host) {
  put(into, "\nSettings\n");
  std::string governors;
  for (const std::string& each : host.governors) governors += (governors.empty() ? "" : ", ") + each;
  if (!governors.empty() && !host.frequency_driver.empty()) governors += " (driver " + host.frequency_driver + ")";
  put_row(into, "isolated", list_or(host.isolated, "none"));
  put_row(into, "nohz_full", list_or(host.nohz_full, "none"));
  put_row(into, "rcu_nocbs", list_or(host.rcu_nocbs, "none"));
  put_row(into, "governor", told(governors));
  put_row(into, "boost", on_or_off(host.boost));
  put_row(into, "SMT", on_or_off(host.smt_active));
  put_row(into, "deepest idle state",
          host.deepest_idle_us ? fmt::format("{} us to come back", *host.deepest_idle_us) : std::string("not told"));
  put_row(into, "hypervisor", host.hypervisor.empty() ? std::string("none seen") : host.hypervisor);
  put_row(into, "stolen time",
          host.steal_share ? fmt::format("{:.2f} % since boot", *host.steal_share * 100) : std::string("not told"));
  put_row(into, "clock source", told(host.clock_source));
  put_row(into, "load", fmt::format("{:.2f} in the last minute", host.load_1min));
  put_row(into, "transparent huge pages",
          fmt::format("{}, defrag {}", told(host.transparent_huge_pages), told(host.huge_page_defrag)));
  put_row(into, "huge pages", fmt::format("{} reserved, {} free", host.reserved_huge_pages, host.free_huge_pages));
  put_row(into, "NUMA balancing", on_or_off(host.numa_balancing));
  put_row(into, "limit memlock", limit(host.memlock, true));
  put_row(into, "limit rtprio", limit(host.rtprio, false));
  put_row(into, "limit processes", limit(host.processes, false));
  put_row(into, "limit descriptors", limit(host.descriptors, false));
}

// --- workers

std::string rings_of(const topo_report& report, unsigned worker) {
  std::string line;
  for (unsigned k = 0; k < report.placed.ring_count(worker); ++k) {
    line += fmt::format("{}{} ({})", k == 0 ? "" : ", then ", list(members(report.placed.ring(worker, k))),
                        nearness(report, worker, k));
  }
  return line.empty() ? "nobody" : line;
}

// Workers whose rings are of the same sizes and nearness are told together.
void put_rings_by_shape(text& into, const topo_report& report) {
  std::map<std::string, std::vector<unsigned>> workers_of_shape;
  std::vector<std::string> shapes;  // in the order of their first worker
  for (unsigned w = 0; w < report.workers; ++w) {
    std::string shape;
    for (unsigned k = 0; k < report.placed.ring_count(w); ++k) {
      shape +=
          fmt::format("{}{} ({})", k == 0 ? "" : ", then ", report.placed.ring(w, k).size(), nearness(report, w, k));
    }
    auto& same = workers_of_shape[shape];
    if (same.empty()) shapes.push_back(shape);
    same.push_back(w);
  }
  for (const std::string& shape : shapes) {
    const auto& same = workers_of_shape[shape];
    put(into, "  {} {} each: {}\n", same.size() > 1 ? "workers" : "worker", list(same), shape);
    put(into, "    as worker {} on CPU {}: {}\n", same.front(), report.placed.cpu_of(same.front()).os_index,
        rings_of(report, same.front()));
  }
}

void put_workers(text& into, const topo_report& report) {
  const unsigned by_default = report.by_default.workers;
  put(into, "\nWorkers: {}{}\n", report.workers,
      report.workers_given ? fmt::format(", as --workers says; a pool has {} by default", by_default) : "");
  put(into, "  {} by default: {}\n", by_default, report.by_default.why);
  put(into, "Steal rings: whom a worker without tasks asks, the nearest first\n");
  if (report.workers > most_workers_one_by_one) {
    put_rings_by_shape(into, report);
    return;
  }
  for (unsigned w = 0; w < report.workers; ++w) {
    put(into, "  worker {} on CPU {}: {}\n", w, report.placed.cpu_of(w).os_index, rings_of(report, w));
  }
}

}  // namespace

std::string to_text(const topo_report& report) {
  text into;
  put_heading(into, report);
  tree_writer(into, report).write();
  put_distances(into, report.machine.whole);
  put_use(into, report);
  if (report.host) put_settings(into, *report.host);
  put_workers(into, report);
  return fmt::to_string(into);
}

}  // namespace remuda::tool
