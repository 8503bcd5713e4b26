// The three ways to do the job, and what each of them cost.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/demo_job/digest.hpp"
#include "tools/demo_job/progress.hpp"

namespace demo {

enum class way { one_thread_each, one_async_each, pool };

inline constexpr std::array all_ways = {way::one_thread_each, way::one_async_each, way::pool};

constexpr std::string_view name_of(way w) {
  switch (w) {
    case way::one_thread_each:
      return "std::thread";
    case way::one_async_each:
      return "std::async";
    default:
      return "remuda pool";
  }
}

/// Of one round; times in milliseconds.
struct cost {
  double wall = 0;          ///< from nothing to all results, with the start and end of all threads
  double cpu = 0;           ///< user and system time of the whole process
  double p50 = 0;           ///< of a task, from just before its submission to its result
  double p99 = 0;           ///< as p50
  double threads = 0;       ///< created
  double no_thread = 0;     ///< tasks for which the system gave no thread until others had ended
  double no_resources = 0;  ///< tasks run a second time because the system was out of descriptors or memory
};

struct round {
  cost paid;
  std::vector<digest> digests;  ///< in the order of the paths
};

/// Tasks that may wait in the pool, for each of its workers; then the main line waits too. Enough to keep the workers
/// busy, and no more, because the delays of tasks are to be compared: with all files queued at once they would tell the
/// length of the queue. The other ways need no bound: the price of a thread holds up their main line.
inline constexpr unsigned queued_per_worker = 4;

/// Does the job once, with so many workers in the pool. Throws std::system_error when the pool cannot be started.
round run(way w, const std::vector<std::string>& paths, unsigned workers, progress& bar);

}  // namespace demo
