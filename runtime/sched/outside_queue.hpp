// Work from threads that are no workers: moodycamel's queue of task pointers.
//
// Debian's version 1.0.3 of the queue lacks two happens-before fixes that came with 1.0.5. So only pointers go through
// it, and what they point to is published a second time, by the release store of the completion word (completion::arm),
// which whoever takes the task acquires before it touches the closure.
#pragma once

#include <concurrentqueue.h>

#include <cstddef>
#include <new>

#include "remuda/detail/state.hpp"

namespace remuda::detail {

class outside_queue {
 public:
  using consumer = moodycamel::ConsumerToken;

  consumer make_consumer() { return consumer(queue_); }

  /// Any thread, lock-free; tasks of one thread leave in the order in which they came. Throws std::bad_alloc.
  void push(state* task) {
    if (!queue_.enqueue(task)) throw std::bad_alloc();
  }

  /// Up to `most` tasks; 0 when none was seen. Lock-free.
  std::size_t take(consumer& who, state** out, std::size_t most) {
    return most == 1 ? (queue_.try_dequeue(who, *out) ? 1 : 0) : queue_.try_dequeue_bulk(who, out, most);
  }
  std::size_t take(state** out, std::size_t most) { return queue_.try_dequeue_bulk(out, most); }

  /// Exact for tasks whose push came before, if a full fence stands between on both sides.
  std::size_t size_approx() const { return queue_.size_approx(); }

 private:
  moodycamel::ConcurrentQueue<state*> queue_;
};

}  // namespace remuda::detail
