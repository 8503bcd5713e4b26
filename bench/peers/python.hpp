// Python's ThreadPoolExecutor: the same rows, measured by thread_pool_executor.py in a process of its own.
#pragma once

#include <cstddef>
#include <string>

#include "bench/support/child.hpp"

namespace bench {

struct python_peer {
  static constexpr const char* name = "python";
  static constexpr std::size_t share = 64;

  /// `row` is a function of the script.
  static counters measure(const std::string& row, unsigned workers, std::size_t count) {
    return measure_in_child({"python3", REMUDA_BENCH_PEERS "/thread_pool_executor.py", row, std::to_string(workers),
                             std::to_string(count)});
  }
};

}  // namespace bench
