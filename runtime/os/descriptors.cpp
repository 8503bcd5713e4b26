#include "runtime/os/descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace remuda::os {
namespace {

constexpr unsigned first = STDERR_FILENO + 1;
constexpr unsigned at_exec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11

// Raw system calls, also where glibc has a wrapper: under ThreadSanitizer the wrappers keep books, which a child that
// shares its parent's memory must not write.
long close_range(unsigned from, unsigned to, unsigned flags) noexcept {
  return from > to ? 0 : syscall(SYS_close_range, from, to, flags);
}

void end_one(int fd, bool only_at_exec) noexcept {
  if (only_at_exec) {
    syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
  } else {
    syscall(SYS_close, fd);
  }
}

// The layout of what getdents64 writes: inode 8, offset 8, length of the record 2, type 1, name.
constexpr std::size_t length_at = 16;
constexpr std::size_t name_at = 19;

int number_in(const char* name) noexcept {
  int number = 0;
  for (; *name >= '0' && *name <= '9'; ++name) number = number * 10 + (*name - '0');
  return *name == '\0' ? number : -1;  // "." and ".." give -1
}

bool end_listed(int keep, bool only_at_exec) noexcept {
  const auto folder =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (folder < 0) return false;
  // A descriptor that is closed between two reads leaves the list, but does not move others: they are in the order of
  // their numbers, and the position is a number.
  alignas(std::uint64_t) char entries[2048];
  long filled = 0;
  while ((filled = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
    for (long at = 0; at < filled;) {
      std::uint16_t length = 0;
      std::memcpy(&length, entries + at + length_at, sizeof length);
      const int fd = number_in(entries + at + name_at);
      if (fd >= static_cast<int>(first) && fd != keep && fd != folder) end_one(fd, only_at_exec);
      at += length;
    }
  }
  syscall(SYS_close, folder);
  return filled == 0;
}

void end_counted(int keep, bool only_at_exec) noexcept {
  constexpr rlim_t most = 1 << 20;  // without a limit it would take for ever; nobody has more open, and no /proc
  rlimit limit{};
  const rlim_t end = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min(limit.rlim_cur, most) : most;
  for (int fd = static_cast<int>(first); fd < static_cast<int>(end); ++fd) {
    if (fd != keep) end_one(fd, only_at_exec);
  }
}

void end_all(int keep, bool only_at_exec) noexcept {
  const auto kept = static_cast<unsigned>(keep);
  const unsigned flags = only_at_exec ? at_exec : 0;
  if (close_range(first, kept - 1, flags) == 0 && close_range(std::max(first, kept + 1), UINT_MAX, flags) == 0) return;
  detail::close_all_but_one_by_one(keep, only_at_exec);
}

}  // namespace

void keep_one_over_exec(int keep) noexcept {
  end_all(keep, true);
  syscall(SYS_fcntl, keep, F_SETFD, 0);
}

void close_all_but(int keep) noexcept { end_all(keep, false); }

namespace detail {

void close_all_but_one_by_one(int keep, bool only_at_exec) noexcept {
  if (!end_listed(keep, only_at_exec)) end_counted(keep, only_at_exec);
}

}  // namespace detail
}  // namespace remuda::os
