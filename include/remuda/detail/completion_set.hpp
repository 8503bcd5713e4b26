// Waiting for several futures: tickets in the futures' callback lists, and a set that hands them out as they complete.
//
// A wait that ends early must leave nothing behind in futures that go on: a loop of wait(first_completed) over a long
// list would grow without bound. Callback nodes cannot be unlinked from a lock-free list, so a ticket node is emptied
// instead and used again by the next waiter: a future has at most as many of them as it had waiters at one moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "remuda/detail/state.hpp"

namespace remuda::detail {

struct ticket_node;

/// A request to be told once when `target` completes. Lives until it has fired or detach() returned true.
struct ticket {
  void (*fire)(ticket*) noexcept = nullptr;  ///< runs on the completing thread
  state* target = nullptr;
  ticket_node* node = nullptr;
};

/// False when the target is final already: the ticket will not fire. Lock-free. Throws std::bad_alloc, and
/// broken_pool_error in a forked child, where nobody will complete the target.
bool attach(ticket* t);
/// True: it will never fire. False: it has fired, or is firing on another thread. Wait-free.
bool detach(ticket* t) noexcept;

/// Hands out the indexes of `states` in the order of their completion. One consumer.
class completion_set {
 public:
  /// The caller keeps the states alive. They are distinct.
  explicit completion_set(const std::vector<state*>& states);
  completion_set(completion_set&&) noexcept = default;
  completion_set& operator=(completion_set&&) noexcept = default;
  ~completion_set();

  /// The next one to be complete; nothing once the deadline has passed and none is ready. Blocks (a worker hands its
  /// seat on). REQUIRES: fewer than all were handed out.
  std::optional<std::size_t> next(const deadline& until);

 private:
  struct shared;
  struct member;
  struct release {
    void operator()(shared* s) const noexcept;
  };
  std::unique_ptr<shared, release> shared_;
  std::vector<std::size_t> ready_;  ///< taken from the shared stack, next one last
};

}  // namespace remuda::detail
