// Python's process pools: the same rows, measured by process_pool_executor.py in a process of its own.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "bench/support/child.hpp"

namespace bench {

struct python_processes {
  /// ProcessPoolExecutor with its three ways to start workers, and multiprocessing.Pool (fork).
  static constexpr std::array kinds{"python_fork", "python_forkserver", "python_spawn", "python_mp_pool"};
  static constexpr std::size_t share = 512;

  /// `row` is a function of the script.
  static counters measure(const std::string& kind, const std::string& row, unsigned workers, std::size_t count) {
    return measure_in_child({"python3", REMUDA_BENCH_PEERS "/process_pool_executor.py", row, kind,
                             std::to_string(workers), std::to_string(count)});
  }
};

}  // namespace bench
