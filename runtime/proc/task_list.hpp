// Tasks of a process pool in a row, linked through the tasks themselves: it takes no memory to put one in, so nothing
// can fail while a task is in nobody's hands but ours, and one that is cancelled leaves the queue in constant time.
#pragma once

#include <cstddef>
#include <utility>

#include "remuda/detail/remote_task.hpp"

namespace remuda::detail {

/// A task is in one list at a time. One thread, or under a lock.
class task_list {
 public:
  task_list() = default;
  task_list(const task_list&) = delete;
  task_list& operator=(const task_list&) = delete;

  bool empty() const { return front_ == nullptr; }
  std::size_t size() const { return size_; }

  void push_back(state* task) {
    part(task).before = std::exchange(back_, task);
    part(task).after = nullptr;
    (part(task).before != nullptr ? part(part(task).before).after : front_) = task;
    ++size_;
  }
  void push_front(state* task) {
    part(task).after = std::exchange(front_, task);
    part(task).before = nullptr;
    (part(task).after != nullptr ? part(part(task).after).before : back_) = task;
    ++size_;
  }
  /// REQUIRES: the task is in this list.
  void erase(state* task) {
    const remote_part& out = part(task);
    (out.before != nullptr ? part(out.before).after : front_) = out.after;
    (out.after != nullptr ? part(out.after).before : back_) = out.before;
    --size_;
  }
  /// Null when the list is empty, as pop_back().
  state* pop_front() {
    state* const task = front_;
    if (task != nullptr) erase(task);
    return task;
  }
  state* pop_back() {
    state* const task = back_;
    if (task != nullptr) erase(task);
    return task;
  }

 private:
  static remote_part& part(state* task) { return *task->ops->remote(task); }

  state* front_ = nullptr;
  state* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace remuda::detail
