// The two ways to start a zygote process.
#pragma once

#include <sys/types.h>

#include "runtime/os/unique_fd.hpp"

namespace remuda::detail {

struct started_zygote {
  pid_t pid = -1;
  os::unique_fd pidfd;
};

/// Starts this program anew, with the socket open in it and the variable that says so. Any thread; the memory of the
/// program is not copied. Throws std::system_error, remuda::error when the file of the program is not to be found.
started_zygote start_by_exec(int socket);

/// The same by fork(). Any thread. Throws std::system_error.
started_zygote start_by_fork(int socket);

}  // namespace remuda::detail
