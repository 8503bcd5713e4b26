// How contestants are compared: a row of the table is measured in rounds, and in each round every contestant has its
// turn, so that a machine that drifts drifts under all of them. Each turn is one Google Benchmark run with the name
// ROW/CONTESTANT/round:N and brings pools of its own, so that nobody's idle threads run beside somebody else's turn.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/support/latency.hpp"
#include "remuda/config.hpp"

namespace bench {

/// Thrown by a measurement that has no meaning for this contestant; the text says why.
struct not_offered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct settings {
  bool quick = false;
  int rounds = 5;

  /// How many to take of something of which a full run takes `n`.
  std::size_t scaled(std::size_t n) const { return quick ? std::max<std::size_t>(n / 4, 1) : n; }

  /// Takes its own flags, --quick and --rounds=N, out of the command line.
  static settings from(int& argc, char** argv) {
    settings s;
    char** const end = std::remove_if(argv + 1, argv + argc, [&s](std::string_view argument) {
      constexpr std::string_view rounds_flag = "--rounds=";
      if (argument == "--quick") {
        s.quick = true;
        s.rounds = 3;
        return true;
      }
      if (!argument.starts_with(rounds_flag)) return false;
      s.rounds = std::max(1, std::atoi(argument.data() + rounds_flag.size()));
      return true;
    });
    argc = static_cast<int>(end - argv);
    return s;
  }
};

class contest {
 public:
  /// Returns what was measured; "ns" or, where there are quantiles, "p50_us" becomes the time that is displayed.
  using measurement = std::function<counters()>;

  void add(std::string row, std::string contestant, measurement measure) {
    if (rows_.empty() || rows_.back().title != row) rows_.push_back({std::move(row), {}});
    rows_.back().entries.push_back({std::move(contestant), std::move(measure)});
  }

  /// Runs what --benchmark_filter leaves of it. The return value is that of main.
  int run(int argc, char** argv, const settings& s) {
    for (const contested_row& r : rows_) {
      for (int round = 1; round <= s.rounds; ++round) {
        for (const entry& e : r.entries) {
          const std::string name = r.title + '/' + e.contestant + "/round:" + std::to_string(round);
          benchmark::RegisterBenchmark(name.c_str(), [&e](benchmark::State& state) { turn(e.measure, state); })
              ->Iterations(1)
              ->UseManualTime();
        }
      }
    }
    // part of the conditions that the figures were made under
    benchmark::AddCustomContext("compiler", compiler());
    benchmark::AddCustomContext("build_type", REMUDA_BENCH_BUILD_TYPE);
    benchmark::AddCustomContext("remuda_version", REMUDA_VERSION);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return EXIT_SUCCESS;
  }

 private:
  struct entry {
    std::string contestant;
    measurement measure;
  };
  struct contested_row {
    std::string title;
    std::vector<entry> entries;
  };

  static std::string compiler() {
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
  }

  static void turn(const measurement& measure, benchmark::State& state) {
    // one iteration is one turn; the loop has to be run through even if the turn fails
    for ([[maybe_unused]] auto _ : state) {
      try {
        for (const auto& [name, value] : measure()) {
          state.counters[name] = value;
          if (name == "ns" || name == "p50_us") state.SetIterationTime(name == "ns" ? value / 1e9 : value / 1e6);
        }
      } catch (const std::exception& e) {
        state.SkipWithError(e.what());
        break;
      }
    }
  }

  std::vector<contested_row> rows_;
};

}  // namespace bench
