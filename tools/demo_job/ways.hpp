// The six ways to do the job, and what each of them cost.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/demo_job/digest.hpp"
#include "tools/demo_job/progress.hpp"

namespace demo {

enum class way { one_thread_each, one_async_each, pool, one_fork_each, one_spawn_each, process_pool };

inline constexpr std::array all_ways = {way::one_thread_each, way::one_async_each, way::pool,
                                        way::one_fork_each,   way::one_spawn_each, way::process_pool};

constexpr std::string_view name_of(way w) {
  switch (w) {
    case way::one_thread_each:
      return "std::thread";
    case way::one_async_each:
      return "std::async";
    case way::pool:
      return "remuda pool";
    case way::one_fork_each:
      return "fork per file";
    case way::one_spawn_each:
      return "posix_spawn per file";
    default:
      return "process_pool";
  }
}

constexpr bool of_processes(way w) { return w >= way::one_fork_each; }

/// What reuses the threads, or the processes, that `w` starts.
constexpr way pool_for(way w) { return of_processes(w) ? way::process_pool : way::pool; }

constexpr bool of_pool(way w) { return w == pool_for(w); }

/// Of one round; times in milliseconds.
struct cost {
  double files = 0;
  double wall = 0;          ///< from nothing to all results, with the start and end of all threads and processes
  double cpu = 0;           ///< user and system time of the process and its children
  double p50 = 0;           ///< of a task, from just before its submission to its result
  double p99 = 0;           ///< as p50
  double created = 0;       ///< threads, or processes where the way is of processes
  double refused = 0;       ///< tasks for which the system gave no thread or process until others had ended
  double no_resources = 0;  ///< tasks run a second time: descriptors or memory ran out, or the process died
};

struct round {
  cost paid;
  std::vector<digest> digests;  ///< in the order of the paths
};

/// Tasks that may wait in a pool, for each of its workers; then the main line waits too. Enough to keep the workers
/// busy, and no more, because the delays of tasks are to be compared: with all files queued at once they would tell the
/// length of the queue. A thread for each file needs no bound: the price of a thread holds up the main line.
inline constexpr unsigned queued_per_worker = 4;

/// Processes for a file each that may be there at once, for each worker of the pools: as many as the pools have tasks
/// under way, so that no way has more of a lead. Without a bound zombies would pile up to the system's limit.
inline constexpr unsigned children_per_worker = 1 + queued_per_worker;

/// Does the job once, with so many workers in a pool. Throws std::system_error or remuda::error when a pool cannot be
/// started. No thread or process of it is left, also when it throws.
round run(way w, const std::vector<std::string>& paths, unsigned workers, progress& bar);

}  // namespace demo
