// The atomics policy: the only file of the project that names std::atomic.
//
// Every lock-free structure is written as template <class Sync, ...> against the vocabulary below. `std_sync` runs it
// on the machine; the model checker's policy (tests/model/sync_relacy.hpp) runs the same text under all interleavings.
//
// Where store-load order is needed the structures use seq_cst operations rather than fences: they cost the same on
// x86-64 (one locked instruction), less on aarch64, and ThreadSanitizer understands them. The fence below is for orders
// between several structures, of which one may be somebody else's code (the outside queue).
#pragma once

#include <atomic>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace remuda::detail {

struct std_sync {
  using memory_order = std::memory_order;
  static constexpr memory_order relaxed = std::memory_order_relaxed;
  static constexpr memory_order acquire = std::memory_order_acquire;
  static constexpr memory_order release = std::memory_order_release;
  static constexpr memory_order acq_rel = std::memory_order_acq_rel;
  static constexpr memory_order seq_cst = std::memory_order_seq_cst;

  template <class U>
  using atomic = std::atomic<U>;

  /// Plain shared data whose accesses are ordered by the atomics beside it (a model checks that they are).
  template <class U>
  class cell {
   public:
    U read() const { return value_; }
    void write(U value) { value_ = value; }

   private:
    U value_{};
  };

  /// Orders every earlier store before every later load. clang turns atomic_thread_fence(seq_cst) into an mfence, which
  /// costs a multiple of the locked instruction that does the same.
  static void full_fence() noexcept {
#if defined(__x86_64__)
    asm volatile("lock; addl $0, -8(%%rsp)" ::: "memory", "cc");
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  }

  /// Keeps the compiler, and nothing else, from moving memory accesses across it.
  static void compiler_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

  /// One turn of a busy wait.
  static void pause() noexcept {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#else
    std::this_thread::yield();
#endif
  }
};

template <class U>
using atomic = std_sync::atomic<U>;

}  // namespace remuda::detail
