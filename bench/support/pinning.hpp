// Two threads that talk across two cores, and not by taking turns on one, which is another and much quicker thing.
#pragma once

#include <stdexcept>
#include <vector>

#include "runtime/os/affinity.hpp"

namespace bench {

/// While it lives the calling thread runs on the first CPU of its mask; far() is the last one, for the other thread.
class pinned_caller {
 public:
  pinned_caller() {
    if (remuda::os::get_affinity(inherited_) != 0) throw std::runtime_error("cannot read the affinity mask");
    const std::vector<unsigned> cpus = inherited_.cpus();
    far_ = cpus.back();
    remuda::os::pin_to_cpu(cpus.front());
  }
  ~pinned_caller() { remuda::os::set_affinity(inherited_); }
  pinned_caller(const pinned_caller&) = delete;
  pinned_caller& operator=(const pinned_caller&) = delete;

  unsigned far() const { return far_; }

 private:
  remuda::os::cpu_mask inherited_;
  unsigned far_ = 0;
};

}  // namespace bench
