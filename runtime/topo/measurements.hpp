// What `remuda measure` found out, as data: the input of recommend() and of the reports.
#pragma once

#include <string>
#include <vector>

namespace remuda::topo {

/// Of repeated measurements of one thing, in nanoseconds unless said otherwise.
struct summary {
  double median = 0;
  double p10 = 0, p90 = 0, p99 = 0;
  unsigned repeats = 0;  ///< 0 = not measured
};

struct measurements {
  std::string taken_at;  ///< UTC, ISO 8601
  double seconds = 0;    ///< that it took

  /// Those that were measured, in the order of the matrix: neighbours next to each other. On large machines a choice
  /// in which every nearness is found.
  std::vector<unsigned> cpus;
  /// Round trip of a cache line, row-major, cpus.size() squared. The diagonal is empty, and so are pairs that could not
  /// be measured. No member at all = no pair was.
  std::vector<summary> core_to_core;

  summary pause;            ///< one pause (yield) instruction
  summary futex_call;       ///< the call that wakes a sleeper, for the caller
  summary wake_hot;         ///< from that call until the sleeper runs, asleep for microseconds
  summary wake_cold;        ///< the same, asleep for milliseconds
  summary ring_round_trip;  ///< shared-memory ring between two processes, both spinning

  struct steal_cost {
    std::string nearness;  ///< smt, l2, l3, node, package, remote
    summary cost;          ///< of one stolen task
  };
  std::vector<steal_cost> steals;  ///< nearest first; only what this machine has

  struct node_memory {
    unsigned cpu_node = 0, memory_node = 0;
    summary latency;    ///< of a dependent load that misses all caches
    summary bandwidth;  ///< bytes a second, reading, one core
  };
  std::vector<node_memory> memory;

  struct jitter_of_cpu {
    unsigned cpu = 0;
    double lost_share = 0;  ///< of the time of a busy thread in which it did not run, 0..1
    double longest_gap_ns = 0;
    double gaps_per_second = 0;  ///< longer than 10 us
  };
  std::vector<jitter_of_cpu> jitter;

  std::vector<std::string> doubts;  ///< why these figures should not be believed; empty = no reason found
};

/// JSON text with a version. REQUIRES: core_to_core is empty or has cpus.size() squared members; all numbers are
/// finite.
std::string to_json(const measurements& m);

/// The way back. Throws std::runtime_error with the reason for a text that to_json() of this version cannot write.
measurements measurements_from_json(const std::string& text);

}  // namespace remuda::topo
