#include "runtime/os/error.hpp"

#include <cerrno>
#include <system_error>

namespace remuda::os {

std::string_view advice(int error) noexcept {
  switch (error) {
    case EMFILE:
      return "the limit on open descriptors is reached: raise it (ulimit -n), or close some";
    case ENFILE:
      return "the whole system has too many open files: raise fs.file-max";
    case EAGAIN:
      return "the limit on processes is reached: raise it (ulimit -u, or pids.max of the cgroup)";
    case ENOMEM:
    case ENOSPC:
      return "there is not enough memory: ask for less, or raise the limit (cgroup, ulimit -v)";
    case ETOOMANYREFS:
      return "too many descriptors are under way in messages: raise the limit on open descriptors (ulimit -n)";
    case ENOSYS:
      return "this kernel has no such call: Linux 5.4 or newer is needed";
    case EPERM:
    case EACCES:
      return "the system forbids it: look at the seccomp profile of the container, and at noexec mounts";
    default:
      return {};
  }
}

void throw_errno(int error, std::string_view what) {
  std::string text = "remuda: ";
  text += what;
  if (const std::string_view hint = advice(error); !hint.empty()) {
    text += " (";
    text += hint;
    text += ')';
  }
  throw std::system_error(error, std::generic_category(), text);
}

}  // namespace remuda::os
