// Processes by descriptor: unlike a process id, it can never come to mean another process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "runtime/os/unique_fd.hpp"

namespace remuda::os {

/// A descriptor of the process; readable (poll) once that has ended. Throws std::system_error.
unique_fd pidfd_open(pid_t pid);

/// Sends a signal. Returns 0 or an errno value; ESRCH: it has ended and was reaped. Never throws.
int send_signal(int pidfd, int signal) noexcept;

/// Whether the process has ended. Never blocks.
bool has_ended(int pidfd) noexcept;

/// Waits at most so long for the end; false: it still runs. Blocks. A signal handler that runs does not end the wait.
bool wait_until_ended(int pidfd, std::chrono::milliseconds limit) noexcept;

/// Takes the wait status of a child that has ended. nullopt: it has not ended, or it is not (or no longer) a child of
/// this process, as when somebody else reaped it or SIGCHLD is ignored. Never blocks.
std::optional<int> reap(int pidfd) noexcept;

}  // namespace remuda::os
