// The bounds below are where figures begin to be about the neighbours rather than the machine: a few percent for what
// takes time away, a factor for what spreads. Spread of wake-ups is wide on good machines too (sleep states).
#include "tools/remuda/measure/conditions.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

#include "runtime/topo/host.hpp"

namespace remuda::tool {
namespace {

constexpr double most_stolen = 0.01;
constexpr double most_of_others = 0.05;
constexpr double most_switches_per_second = 50;
constexpr double most_lost = 0.01;
constexpr unsigned least_repeats = 10;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

template <class Number>
Number grown(Number before, Number after) {
  return after > before ? after - before : Number{};
}

// A figure by its name, and how far its percentiles may be apart.
struct figure {
  std::string name;
  const topo::summary* value;
  double most_spread;
};

std::vector<figure> figures_of(const topo::measurements& m) {
  std::vector<figure> all{{"pause", &m.pause, 1.5},
                          {"futex call", &m.futex_call, 4},
                          {"wake-up, hot", &m.wake_hot, 4},
                          {"wake-up, cold", &m.wake_cold, 4},
                          {"ring round trip", &m.ring_round_trip, 2}};
  for (const auto& each : m.steals) all.push_back({"steal (" + each.nearness + ")", &each.cost, 3});
  for (const auto& each : m.memory) {
    const std::string way = fmt::format(" of node {} from node {}", each.memory_node, each.cpu_node);
    all.push_back({"memory latency" + way, &each.latency, 1.5});
    all.push_back({"memory bandwidth" + way, &each.bandwidth, 1.5});
  }
  std::erase_if(all, [](const figure& f) { return f.value->repeats == 0; });
  return all;
}

double spread(const topo::summary& s) { return s.p10 > 0 ? s.p90 / s.p10 : 1; }

// The pairs of the matrix as one sentence: some hundred would say the same.
void doubt_pairs(const topo::measurements& m, std::vector<std::string>& doubts) {
  constexpr double most_spread = 2;
  std::size_t measured = 0, wide = 0, worst = 0;
  for (std::size_t i = 0; i < m.core_to_core.size(); ++i) {
    const topo::summary& each = m.core_to_core[i];
    if (each.repeats == 0) continue;
    ++measured;
    if (spread(each) <= most_spread) continue;
    if (wide++ == 0 || spread(each) > spread(m.core_to_core[worst])) worst = i;
  }
  // Some pairs out of many always meet an interrupt or two.
  if (wide == 0 || wide * 10 < measured) return;
  const topo::summary& w = m.core_to_core[worst];
  doubts.push_back(fmt::format(
      "core to core: the values of {} % of the pairs spread widely, most of CPUs {} and {}: from "
      "{:.0f} ns (p10) to {:.0f} ns (p90)",
      wide * 100 / measured, m.cpus.at(worst / m.cpus.size()), m.cpus.at(worst % m.cpus.size()), w.p10, w.p90));
}

}  // namespace

std::optional<cpu_seconds> parse_stat(const std::string& text, const std::vector<unsigned>& cpus, double per_second) {
  std::istringstream lines(text);
  cpu_seconds sum;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("cpu")) continue;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(line.data() + 3, line.data() + line.size(), number);
    if (error != std::errc{} || !std::binary_search(cpus.begin(), cpus.end(), number)) continue;
    // user nice system idle iowait irq softirq steal; guests are in user and nice
    std::istringstream fields(line.substr(static_cast<std::size_t>(end - line.data())));
    std::array<double, 8> ticks{};
    for (double& each : ticks) fields >> each;
    if (!fields) continue;
    found = true;
    sum.busy += (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second;
    sum.stolen += ticks[7] / per_second;
  }
  return found ? std::optional(sum) : std::nullopt;
}

snapshot look(const std::vector<unsigned>& cpus) {
  snapshot now;
  std::ifstream stat("/proc/stat");
  const std::string text{std::istreambuf_iterator<char>(stat), std::istreambuf_iterator<char>()};
  std::vector<unsigned> sorted = cpus;
  std::sort(sorted.begin(), sorted.end());
  now.cpus = parse_stat(text, sorted, static_cast<double>(sysconf(_SC_CLK_TCK)));
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    getrusage(who, &used);
    now.own_seconds += seconds(used.ru_utime) + seconds(used.ru_stime);
    now.involuntary_switches += static_cast<std::uint64_t>(used.ru_nivcsw);
  }
  for (const topo::cgroup_level& each : topo::read_host().cgroups) {
    now.throttled_periods += each.throttled_periods;
    now.throttled_seconds += static_cast<double>(each.throttled_ns) * 1e-9;
  }
  now.at = std::chrono::steady_clock::now();
  return now;
}

conditions between(const snapshot& before, const snapshot& after, std::size_t cpus) {
  conditions found;
  found.seconds = std::chrono::duration<double>(after.at - before.at).count();
  if (before.cpus && after.cpus && cpus > 0) {
    const double busy = grown(before.cpus->busy, after.cpus->busy);
    const double stolen = grown(before.cpus->stolen, after.cpus->stolen);
    if (busy + stolen > 0) found.stolen_share = stolen / (busy + stolen);
    const double own = grown(before.own_seconds, after.own_seconds);
    if (found.seconds > 0) {
      found.others_share = std::clamp((busy - own) / (found.seconds * static_cast<double>(cpus)), 0.0, 1.0);
    }
  }
  const auto switches = grown(before.involuntary_switches, after.involuntary_switches);
  if (found.seconds > 0) found.involuntary_switches_per_second = static_cast<double>(switches) / found.seconds;
  found.throttled_periods = grown(before.throttled_periods, after.throttled_periods);
  found.throttled_seconds = grown(before.throttled_seconds, after.throttled_seconds);
  return found;
}

std::vector<std::string> doubts_of(const topo::measurements& m, const conditions& meanwhile) {
  std::vector<std::string> doubts;
  if (meanwhile.stolen_share.value_or(0) > most_stolen) {
    doubts.push_back(
        fmt::format("the hypervisor kept {:.1f} % of the CPU time for others (steal time); measure again "
                    "when its other machines are quiet",
                    *meanwhile.stolen_share * 100));
  }
  if (meanwhile.others_share.value_or(0) > most_of_others) {
    doubts.push_back(
        fmt::format("other processes used {:.0f} % of the measured CPUs; measure again when they are quiet",
                    *meanwhile.others_share * 100));
  }
  if (meanwhile.throttled_periods > 0) {
    doubts.push_back(
        fmt::format("the CPU quota of a control group was used up in {} periods, for {:.2f} s; measure with "
                    "a larger quota (cpu.max)",
                    meanwhile.throttled_periods, meanwhile.throttled_seconds));
  }
  if (meanwhile.involuntary_switches_per_second > most_switches_per_second) {
    doubts.push_back(fmt::format("the measuring threads were interrupted by others {:.0f} times a second",
                                 meanwhile.involuntary_switches_per_second));
  }
  for (const auto& each : m.jitter) {
    if (each.lost_share <= most_lost) continue;
    doubts.push_back(fmt::format("a busy thread on CPU {} was not let run for {:.1f} % of its time", each.cpu,
                                 each.lost_share * 100));
  }
  doubt_pairs(m, doubts);
  for (const figure& each : figures_of(m)) {
    if (each.value->repeats < least_repeats) {
      doubts.push_back(
          fmt::format("{}: measured {} times only; give it more time with --seconds", each.name, each.value->repeats));
    } else if (spread(*each.value) > each.most_spread) {
      doubts.push_back(
          fmt::format("{}: the values spread widely, p90 is {:.1f} times p10", each.name, spread(*each.value)));
    }
  }
  return doubts;
}

}  // namespace remuda::tool
