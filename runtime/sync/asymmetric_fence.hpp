// A store-load barrier of which one side is free: the frequent side pays nothing, the rare side a system call.
//
// light() on one thread and heavy() on another work together as two full fences do: of a store before and a load after
// the one, and a store before and a load after the other, at least one load sees the other side's store. heavy() makes
// every running thread of the process execute a full fence (membarrier(2), private expedited), so that light() need
// only keep the compiler from moving things. Where the system has no membarrier, light() is a full fence itself. The
// technique is that of the asymmetric fences of P1202 and folly.
#pragma once

#include "remuda/detail/sync.hpp"

namespace remuda::detail {

class asymmetric_fence {
 public:
  /// Before the first use by a pool's threads; any number of times. Registers the process with the kernel.
  static void prepare() noexcept;

  static void light() noexcept {
    // relaxed: set before the threads that ask were started
    if (one_sided_.load(std_sync::relaxed)) [[likely]] {
      std_sync::compiler_fence();
    } else {
      std_sync::full_fence();
    }
  }

  /// False when the kernel refuses, as it may from one moment to the next (a seccomp filter): then nothing is ordered
  /// against light() sides that are under way, and those that come later are full fences. Costs 0.1 to some us.
  [[nodiscard]] static bool heavy() noexcept;

 private:
  static constinit atomic<bool> one_sided_;
};

}  // namespace remuda::detail
