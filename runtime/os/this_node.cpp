#include "runtime/os/this_node.hpp"

#include <sched.h>

namespace remuda::os {

unsigned this_node() noexcept {
  unsigned node = 0;
  return getcpu(nullptr, &node) == 0 ? node : 0;
}

}  // namespace remuda::os
