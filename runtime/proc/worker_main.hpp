// What runs in a worker process.
#pragma once

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// Runs the calls of the segment's ring one after the other until it is told to quit, then ends the process.
[[noreturn]] void worker_main(const worker_settings& settings, worker_fds fds);

}  // namespace remuda::detail
