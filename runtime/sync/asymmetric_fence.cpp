#include "runtime/sync/asymmetric_fence.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace remuda::detail {
namespace {

bool membarrier(int command) noexcept {
  const int caller_errno = errno;
  const bool ok = syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = caller_errno;
  return ok;
}

}  // namespace

constinit atomic<bool> asymmetric_fence::one_sided_{false};

void asymmetric_fence::prepare() noexcept {
  if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) one_sided_.store(true, std_sync::relaxed);
}

bool asymmetric_fence::heavy() noexcept {
  std_sync::full_fence();
  if (!one_sided_.load(std_sync::relaxed)) return true;  // the other sides are full fences
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return true;
  one_sided_.store(false, std_sync::relaxed);
  return false;
}

}  // namespace remuda::detail
