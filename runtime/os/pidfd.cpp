#include "runtime/os/pidfd.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>

#include "runtime/os/error.hpp"

namespace remuda::os {
namespace {

constexpr idtype_t by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD, which glibc 2.31 does not name

// waitid() takes a status apart; the W... macros and everybody else want it whole.
int wait_status(const siginfo_t& info) noexcept {
  switch (info.si_code) {
    case CLD_EXITED:
      return (info.si_status & 0xff) << 8;
    case CLD_DUMPED:
      return info.si_status | 0x80;
    default:
      return info.si_status;
  }
}

}  // namespace

unique_fd pidfd_open(pid_t pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0U);  // close-on-exec by nature
  if (fd < 0) throw_errno(errno, "cannot watch process " + std::to_string(pid));
  return unique_fd(static_cast<int>(fd));
}

int send_signal(int pidfd, int signal) noexcept {
  return syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0U) == 0 ? 0 : errno;
}

bool has_ended(int pidfd) noexcept { return wait_until_ended(pidfd, std::chrono::milliseconds::zero()); }

bool wait_until_ended(int pidfd, std::chrono::milliseconds limit) noexcept {
  using clock = std::chrono::steady_clock;
  const auto end = clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()).count();
    pollfd waited{pidfd, POLLIN, 0};
    const int rc = poll(&waited, 1, static_cast<int>(std::clamp<long long>(left, 0, std::numeric_limits<int>::max())));
    if (rc > 0) return (waited.revents & (POLLIN | POLLHUP)) != 0;
    if (rc == 0 && left <= 0) return false;
    if (rc < 0 && errno != EINTR) return false;
  }
}

std::optional<int> reap(int pidfd) noexcept {
  siginfo_t info{};
  if (waitid(by_pidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return {};
  return wait_status(info);
}

}  // namespace remuda::os
