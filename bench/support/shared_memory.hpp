// Memory that a benchmark shares with the children that it forks.
#pragma once

#include <sys/mman.h>

#include <new>

#include "bench/support/forked_child.hpp"

namespace bench {

/// A T with all its pages there, in the parent and, at the same address, in children forked later.
template <class T>
class shared_memory {
 public:
  shared_memory() {
    void* const p = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) throw_errno("mmap");
    value_ = new (p) T;
  }
  ~shared_memory() { munmap(value_, sizeof(T)); }
  shared_memory(const shared_memory&) = delete;
  shared_memory& operator=(const shared_memory&) = delete;

  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

}  // namespace bench
