// Shared memory without a name: nothing is left in /dev/shm, whoever dies when.
#pragma once

#include <cstddef>

#include "runtime/os/unique_fd.hpp"

namespace remuda::os {

/// An anonymous file of `bytes` bytes in memory, close-on-exec and never executable, whose size is sealed: whoever gets
/// the descriptor can neither shrink it under a mapping (SIGBUS) nor grow it. Pages come with the first touch.
/// `name` shows in /proc and nowhere else. Throws std::system_error.
unique_fd make_memfd(const char* name, std::size_t bytes);

/// True when the size of the file can no longer change.
bool is_sealed(int memfd) noexcept;

}  // namespace remuda::os
