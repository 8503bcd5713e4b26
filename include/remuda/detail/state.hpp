// What a future points to: one block that holds the completion word, the outcome and, for a task, its closure.
//
// The block is counted: a future holds a reference, so does the queue that carries a task, so does a promise.
// Everything here that is not a template lives in runtime/sched/state.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "remuda/config.hpp"
#include "remuda/detail/allocate.hpp"
#include "remuda/detail/completion.hpp"

namespace remuda::detail {

struct state;
struct remote_part;

/// A callback waiting for completion. Nodes live until their block dies, because others may be walking the list.
struct alignas(16) callback_node {
  struct operations {
    void (*invoke)(callback_node*, state*) noexcept;  ///< runs the callback; exactly once
    void (*destroy)(callback_node*) noexcept;         ///< destroys what invoke left and frees the node
  };
  const operations* ops = nullptr;
  callback_node* next = nullptr;      ///< added before this one; never changes once pushed
  callback_node* in_order = nullptr;  ///< added after this one; written by the one thread that dispatches
};

using completion_word = completion<std_sync, callback_node>;

struct state_operations {
  status (*run)(state*) noexcept;    ///< runs the closure, stores the outcome, destroys the closure; null: not a task
  void (*discard)(state*) noexcept;  ///< destroys the closure unrun
  void (*destroy)(state*) noexcept;  ///< destroys the outcome and frees the block
  bool detached;                     ///< posted: nobody holds a future, an error goes to the pool's hook
  remote_part* (*remote)(state*) noexcept = nullptr;  ///< of a task that runs in another process; null: in this one
};

struct state {
  state(const state_operations* o, std::uint32_t references, std::uint64_t home_id)
      : refs(references), ops(o), home(home_id) {}

  completion_word word;
  atomic<std::uint32_t> refs;
  std::uint32_t submitted_at = 0;  ///< sampled submit time in units of 64 ns; 0: not sampled
  const state_operations* ops;
  std::uint64_t home;  ///< id of the pool that runs or completes it; 0: none. Ids are never used twice
};

inline void add_reference(state* s) noexcept { s->refs.fetch_add(1, std_sync::relaxed); }  // relaxed: we hold one
void release_reference(state* s) noexcept;

/// Publishes the outcome, wakes who sleeps on it and runs the callbacks. REQUIRES: the caller won try_start.
void complete(state* s, status final) noexcept;
/// `force` also ends a task that runs in another process.
bool cancel(state* s, bool force = false) noexcept;
/// The status as a user means it: a task that was handed to another process is pending until it has begun there.
status observe(state* s) noexcept;
/// Registers a callback, or runs it at once where the state is final.
void attach(state* s, callback_node* node) noexcept;
/// Runs an error through the hook of the pool that is `home`, or the default one (a line on stderr).
void report_error(std::uint64_t home, std::exception_ptr error) noexcept;
/// If nobody has started the task, runs it on the calling thread. True when it ran here.
bool run_here(state* s);

using deadline = std::optional<std::chrono::steady_clock::time_point>;

/// Blocks until the status is final or the deadline has passed; returns the status then seen. Inside a task see
/// semantics: the awaited task is claimed, or the worker's seat handed on. Throws broken_pool_error in a forked child.
status wait(state* s, const deadline& until);

[[noreturn]] void throw_for(status s, const char* operation);  // cancelled, taken, unfinished

template <class Rep, class Period>
deadline after(std::chrono::duration<Rep, Period> d) {
  using clock = std::chrono::steady_clock;
  const auto now = clock::now();
  // compared as floating point: a "for ever" such as hours::max() must not overflow
  if (std::chrono::duration<double>(d) >= std::chrono::duration<double>(clock::time_point::max() - now)) return {};
  return now + std::chrono::ceil<clock::duration>(d);
}

/// What a value is kept as: references as pointers, void as nothing.
struct nothing {};
template <class T>
using stored = std::conditional_t<std::is_void_v<T>, nothing,
                                  std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

template <class T>
struct value_state : state {
  value_state(const state_operations* o, std::uint32_t references, std::uint64_t home_id)
      : state(o, references, home_id) {}
  ~value_state() {
    switch (word.current()) {
      case status::value:
      case status::taken:
        value.~stored();
        break;
      case status::error:
        error.~exception_ptr();
        break;
      default:
        break;
    }
  }
  value_state(const value_state&) = delete;
  value_state& operator=(const value_state&) = delete;

  using stored = detail::stored<T>;
  union {
    stored value;
    std::exception_ptr error;
    bool* refused;  ///< of a posted task before it runs: where its submitter, who has no future, looks whether it will
  };

  /// Writes the outcome of `make()`, which may throw, and tells which it was.
  template <class Make>
  status fill(Make&& make) noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        std::forward<Make>(make)();
        ::new (static_cast<void*>(&value)) nothing{};
      } else if constexpr (std::is_reference_v<T>) {
        ::new (static_cast<void*>(&value)) stored(std::addressof(std::forward<Make>(make)()));
      } else {
        ::new (static_cast<void*>(&value)) stored(std::forward<Make>(make)());
      }
      return status::value;
    } catch (...) {
      ::new (static_cast<void*>(&error)) std::exception_ptr(std::current_exception());
      return status::error;
    }
  }

  status fail(std::exception_ptr e) noexcept {
    ::new (static_cast<void*>(&error)) std::exception_ptr(std::move(e));
    return status::error;
  }
};

/// Memory of a block: the slab's, unless the block wants a stricter alignment than a slab has.
template <class Block>
void* block_memory() {
  if constexpr (alignof(Block) <= cache_line) {
    return allocate(sizeof(Block));
  } else {
    return ::operator new(sizeof(Block), std::align_val_t{alignof(Block)});
  }
}

template <class Block>
void free_block_memory(void* memory) noexcept {
  if constexpr (alignof(Block) <= cache_line) {
    deallocate(memory, sizeof(Block));
  } else {
    ::operator delete(memory, std::align_val_t{alignof(Block)});
  }
}

/// Allocates from the calling thread's slab. Throws std::bad_alloc, or what the constructor throws.
template <class Block, class... Args>
Block* make_block(Args&&... args) {
  void* memory = block_memory<Block>();
  try {
    return ::new (memory) Block(std::forward<Args>(args)...);
  } catch (...) {
    free_block_memory<Block>(memory);
    throw;
  }
}

template <class Block>
void free_block(Block* block) noexcept {
  block->~Block();
  free_block_memory<Block>(block);
}

/// Block without a closure: what a promise, `then` and the combinators complete.
template <class T>
struct plain_state final : value_state<T> {
  explicit plain_state(std::uint32_t references, std::uint64_t home_id)
      : value_state<T>(&operations, references, home_id) {
    this->word.arm();
  }
  static void destroy(state* s) noexcept { free_block(static_cast<plain_state*>(s)); }
  static constexpr state_operations operations{nullptr, nullptr, &destroy, false};
};

/// A task: the closure is moved in once, run once, and destroyed before the outcome is published.
template <class F, class T, bool Detached>
struct task_state final : value_state<T> {
  /// `make()` returns the closure, which is built in place.
  template <class Make>
  task_state(const Make& make, std::uint64_t home_id)
      : value_state<T>(&operations, Detached ? 1U : 2U, home_id), closure(make()) {
    this->word.arm();
  }
  ~task_state() {}

  union {
    F closure;
  };

  static status run(state* s) noexcept {
    auto* self = static_cast<task_state*>(s);
    const status outcome = self->fill([self]() -> decltype(auto) { return std::move(self->closure)(); });
    self->closure.~F();
    return outcome;
  }
  static void discard(state* s) noexcept { static_cast<task_state*>(s)->closure.~F(); }
  static void destroy(state* s) noexcept { free_block(static_cast<task_state*>(s)); }
  static constexpr state_operations operations{&run, &discard, &destroy, Detached};
};

/// Callback node that keeps a callable; `call(f, state)` runs it.
template <class F>
struct function_node final : callback_node {
  explicit function_node(F f) : callback_node{&operations}, function(std::move(f)) {}
  ~function_node() {}

  union {
    F function;
  };

  static void invoke(callback_node* n, state* s) noexcept {
    auto* self = static_cast<function_node*>(n);
    try {
      self->function(s);
    } catch (...) {
      report_error(s->home, std::current_exception());
    }
    self->function.~F();
  }
  static void destroy(callback_node* n) noexcept { free_block(static_cast<function_node*>(n)); }
  static constexpr operations operations{&invoke, &destroy};
};

template <class F>
callback_node* make_node(F&& f) {
  return make_block<function_node<std::decay_t<F>>>(std::forward<F>(f));
}

}  // namespace remuda::detail
