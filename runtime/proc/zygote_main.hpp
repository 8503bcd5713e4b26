// The zygote's own side.
#pragma once

#include <sys/types.h>

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// Makes this process a zygote: says hello on the socket, forks a worker for each request, reaps and reports those that
/// end, and ends them all when the parent or its end of the socket is gone. The calling thread must be the only one of
/// the process that forks or waits for children. `parent` is the process that started it, as it sees it.
[[noreturn]] void zygote_main(int socket, pid_t parent, worker_function worker) noexcept;

}  // namespace remuda::detail
