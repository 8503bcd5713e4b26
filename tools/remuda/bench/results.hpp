// What the benchmark programs measured, as data: rows, in each of them contestants, of each contestant one value a
// round for every column. Nothing is condensed here: medians and spreads are made where they are shown, so that a
// report that is compared with another one a year later still has the rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::tool::bench {

/// One contestant of a row.
struct result {
  std::string contestant;
  std::map<std::string, std::vector<double>, std::less<>>
      rounds;                  ///< by column; the unit ends its name: _us, _ms, _kib
  std::string missing;         ///< why it was not measured, the last time that it was not
  unsigned times_missing = 0;  ///< rounds in which it was not measured

  /// The rounds of a column; nullptr if there are none.
  const std::vector<double>* values(std::string_view column) const;
  std::optional<double> median(std::string_view column) const;
};

struct row {
  std::string name;
  std::vector<result> results;  ///< in the order measured

  /// nullptr if it took no part.
  const result* find(std::string_view contestant) const;
};

/// What became of one benchmark program.
struct program_run {
  enum class state { measured, nothing_matched, not_there, failed, timed_out };

  std::string name;
  state ended = state::measured;
  double seconds = 0;
  std::string detail;  ///< of what went wrong

  bool lost() const { return ended != state::measured && ended != state::nothing_matched; }
};

std::string_view to_text(program_run::state);

/// The conditions that the figures were made under. What the system does not tell is empty.
struct host_record {
  std::string cpu_model, kernel, hypervisor;
  unsigned usable_cpus = 0;
  std::optional<double> cpu_quota;  ///< in CPUs; empty = no limit
  std::vector<std::string> governors;
  std::string frequency_driver;
  std::optional<bool> boost, smt_active;
  std::string clock_source, transparent_huge_pages;
  std::uint64_t memory_bytes = 0;
  double load_before = 0, load_after = 0;     ///< of one minute
  std::optional<double> steal_share;          ///< of the CPU time of the run that the hypervisor kept for others, 0..1
  std::optional<double> throttled_ms;         ///< that a CPU quota stopped the run
  std::string profile;                        ///< of the pools that were measured; empty: the built-in settings
  std::string compiler, build_type, version;  ///< of the benchmark programs
};

struct report {
  std::string taken_at;  ///< UTC, ISO 8601
  double seconds = 0;    ///< that all programs took
  bool quick = false;
  std::string filter;
  host_record host;
  std::vector<program_run> programs;
  std::vector<row> rows;     ///< in the order measured
  std::string measurements;  ///< what `remuda measure --json` told of the machine; empty if it was not asked
};

/// Adds what a program wrote in Google Benchmark's JSON. A text that breaks off, as that of a program which died, gives
/// what is whole of it; the return value tells whether all was. Compiler and build type come from its context. Throws
/// std::runtime_error for a text that is something else.
bool add_results(report& to, const std::string& text);

/// report.json: everything of the report, versioned, and beside the rounds what follows from them, for scripts.
std::string to_json(const report&);
/// Throws std::runtime_error with the reason for any text that to_json() did not write.
report report_from_json(const std::string& text);

}  // namespace remuda::tool::bench
