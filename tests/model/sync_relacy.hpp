// The model checker's atomics policy: the vocabulary of remuda::detail::std_sync, run by relacy.
//
// relacy runs the threads of a model as fibers of one thread and picks, at every atomic operation, who goes next and
// which of the last three values of the variable a load may still see. What this does and does not cover matters when
// a mutant is judged:
// - Operations take effect in program order. A load never sees a store that has not run yet, and two loads never change
//   places. A mutant whose only harm is such a reordering cannot be caught here; its tag must say so.
// - A seq_cst load never looks behind the last seq_cst store, CAS or exchange to its variable, whoever ran it. C++20
//   promises this only where the single order S demands it, so relacy is stronger in one way: it never needs the
//   happens-before edge that puts a store before a load in S.
// - A failed compare-exchange reads the newest value, and a store by the same thread continues a release sequence (as
//   in C++11). Both are stronger than C++20.
// - The two sides of an asymmetric fence are both a full one here: that it works as if they were is the kernel's
// promise.
//
// relacy replaces operator new to find leaks inside a model; what a model allocates must be freed by its destructor.
#pragma once

#include "remuda/detail/sync.hpp"

// relacy redefines much of the language for the code it checks; here only the policy below speaks to it.
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef free
#undef calloc
#undef realloc
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace remuda::model {

struct relacy_sync {
  using memory_order = rl::memory_order;
  static constexpr memory_order relaxed = rl::mo_relaxed;
  static constexpr memory_order acquire = rl::mo_acquire;
  static constexpr memory_order release = rl::mo_release;
  static constexpr memory_order acq_rel = rl::mo_acq_rel;
  static constexpr memory_order seq_cst = rl::mo_seq_cst;

  template <class U>
  class atomic {
   public:
    /// As std::atomic's: holds U{}.
    atomic() : atomic(U{}) {}
    explicit atomic(U value) { a_.store(value, relaxed, RL_INFO); }

    U load(memory_order order) const { return a_.load(order, RL_INFO); }
    void store(U value, memory_order order) { a_.store(value, order, RL_INFO); }
    U exchange(U value, memory_order order) { return a_.exchange(value, order, RL_INFO); }
    U fetch_add(U value, memory_order order) { return a_.fetch_add(value, order, RL_INFO); }
    U fetch_sub(U value, memory_order order) { return a_.fetch_sub(value, order, RL_INFO); }
    U fetch_or(U value, memory_order order) { return a_.fetch_or(value, order, RL_INFO); }
    U fetch_and(U value, memory_order order) { return a_.fetch_and(value, order, RL_INFO); }
    bool compare_exchange_strong(U& expected, U value, memory_order success, memory_order failure) {
      return a_.compare_exchange_strong(expected, value, success, RL_INFO, failure, RL_INFO);
    }
    bool compare_exchange_weak(U& expected, U value, memory_order success, memory_order failure) {
      return a_.compare_exchange_weak(expected, value, success, RL_INFO, failure, RL_INFO);
    }

   private:
    rl::atomic<U> a_;
  };

  /// Plain shared data: relacy reports a data race unless the accesses are ordered, and a read before any write.
  template <class U>
  class cell {
   public:
    U read() const { return value_(RL_INFO); }
    void write(U value) { value_(RL_INFO) = value; }

   private:
    mutable rl::var<U> value_;
  };

  static void full_fence() { rl::atomic_thread_fence(seq_cst, RL_INFO); }
  static void pause() { rl::yield(1, RL_INFO); }
};

}  // namespace remuda::model
