// The processes' side of faults.hpp.
#include "runtime/proc/fault_point.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/faults.hpp"

namespace remuda::detail {

void fault_point(fault point) noexcept {
  const char* const folder = std::getenv(test::faults::variable);
  if (folder == nullptr) return;
  const std::string reached = test::faults::file_of(folder, point, std::to_string(getpid()).c_str());
  // A rename succeeds in one process only.
  if (std::rename(test::faults::file_of(folder, point, "die").c_str(), reached.c_str()) == 0) ::raise(SIGKILL);
  if (std::rename(test::faults::file_of(folder, point, "stop").c_str(), reached.c_str()) == 0) ::raise(SIGSTOP);
}

}  // namespace remuda::detail
