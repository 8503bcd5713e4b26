// One task of the job, the same for all ways, in whatever thread or process it runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <type_traits>

#include "tools/demo_job/digest.hpp"

namespace demo {

/// Of the machine, not of a process: times taken in one process mean the same in another.
using clock = std::chrono::steady_clock;

struct outcome {
  digest result;
  clock::time_point finished;
};
static_assert(std::is_trivially_copyable_v<outcome>, "its bytes go through pipes and shared memory");

outcome run_task(const std::string& path);

/// Counts the calling thread unless it has been counted before. Threads are counted by this, not by what should be.
void count_this_thread();

/// Threads of this process counted so far.
std::size_t threads_counted();

}  // namespace demo
