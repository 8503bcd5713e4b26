#include "runtime/proc/limits.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "runtime/os/error.hpp"

namespace remuda::detail {
namespace {

// Soft and hard: a task shall not be able to lift its own limit.
void limit(decltype(RLIMIT_AS) which, const char* name, std::uint64_t soft, std::uint64_t hard) {
  rlimit now{};
  if (getrlimit(which, &now) != 0) os::throw_errno(errno, std::string("cannot read the limit on ") + name);
  rlimit wanted{};
  wanted.rlim_max = std::min<rlim_t>(hard, now.rlim_max);
  wanted.rlim_cur = std::min<rlim_t>(soft, wanted.rlim_max);
  if (setrlimit(which, &wanted) != 0) os::throw_errno(errno, std::string("cannot set the limit on ") + name);
}

}  // namespace

void apply_limits(const worker_settings& settings) {
  if (settings.address_space != 0) {
    limit(RLIMIT_AS, "address space", settings.address_space, settings.address_space);
  }
  if (settings.cpu_seconds != 0) {
    // SIGXCPU at the soft limit, SIGKILL at the hard one: a task that handles the first still ends at the second.
    limit(RLIMIT_CPU, "CPU time", settings.cpu_seconds, settings.cpu_seconds + 1);
  }
  if (settings.open_files != 0) limit(RLIMIT_NOFILE, "open descriptors", settings.open_files, settings.open_files);
}

}  // namespace remuda::detail
