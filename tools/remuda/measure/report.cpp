#include "tools/remuda/measure/report.hpp"

#include <fmt/format.h>

#include <iterator>

#include "tools/remuda/measure/heat_map.hpp"

namespace remuda::tool {
namespace {

// Three digits are what repeats of a measurement agree on.
std::string number(double value) {
  if (value < 10) return fmt::format("{:.2f}", value);
  return value < 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string time(double ns) {
  if (ns < 10'000) return number(ns) + " ns";
  return ns < 10'000'000 ? number(ns / 1e3) + " us" : number(ns / 1e6) + " ms";
}

std::string rate(double bytes) { return number(bytes / 1e9) + " GB/s"; }

template <class Unit>
void append(std::string& out, const std::string& name, const topo::summary& s, Unit unit) {
  if (s.repeats == 0) return;
  fmt::format_to(std::back_inserter(out), "{:<38}{:>11}{:>11}{:>11}{:>11}\n", name, unit(s.median), unit(s.p10),
                 unit(s.p90), unit(s.p99));
}

}  // namespace

std::string report_text(const topo::measurements& m, bool colour, std::size_t columns) {
  std::string out;
  const auto end = std::back_inserter(out);
  if (const std::string map = heat_map_text(m, colour, columns); !map.empty()) {
    fmt::format_to(end, "core to core, round trip of a cache line, median in ns\n{}\n", map);
  }

  std::string figures;
  append(figures, "pause instruction", m.pause, time);
  append(figures, "waking a sleeper, the call", m.futex_call, time);
  append(figures, "wake-up after some microseconds", m.wake_hot, time);
  append(figures, "wake-up after some milliseconds", m.wake_cold, time);
  append(figures, "ring round trip between processes", m.ring_round_trip, time);
  for (const auto& each : m.steals) append(figures, "stolen task, nearness " + each.nearness, each.cost, time);
  for (const auto& each : m.memory) {
    const std::string way = fmt::format(", node {} reads node {}", each.cpu_node, each.memory_node);
    append(figures, "memory latency" + way, each.latency, time);
    append(figures, "memory bandwidth" + way, each.bandwidth, rate);
  }
  if (!figures.empty()) {
    fmt::format_to(end, "{:<38}{:>11}{:>11}{:>11}{:>11}\n{}\n", "", "median", "p10", "p90", "p99", figures);
  }

  if (!m.jitter.empty()) {
    fmt::format_to(end, "{:<38}{:>11}{:>16}{:>17}\n", "a busy thread on", "lost time", "longest gap", "gaps > 10 us");
    for (const auto& each : m.jitter) {
      fmt::format_to(end, "{:<38}{:>9.2f} %{:>16}{:>13.1f} /s\n", fmt::format("CPU {}", each.cpu),
                     each.lost_share * 100, time(each.longest_gap_ns), each.gaps_per_second);
    }
    out += '\n';
  }

  fmt::format_to(end, "Measured in {:.1f} s at {}.\n", m.seconds, m.taken_at);
  if (!m.doubts.empty()) {
    out += "\nReasons not to believe all of this:\n";
    for (const std::string& each : m.doubts) fmt::format_to(end, "- {}\n", each);
  }
  return out;
}

}  // namespace remuda::tool
