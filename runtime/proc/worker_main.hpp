// What runs in a worker process.
#pragma once

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// Runs the calls of the segment's ring one after the other until it is told to quit, then ends the process.
[[noreturn]] void worker_main(const worker_settings& settings, worker_fds fds);

/// Does what worker_main does until its first call, with a ring of its own, and leaves nothing but pages that are there
/// and need not be fetched when it is meant. For a process that waits to become a worker.
void rehearse_worker() noexcept;

}  // namespace remuda::detail
