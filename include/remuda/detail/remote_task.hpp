// A task that runs in another process: what the pool does with it there and here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#include "remuda/detail/code_ref.hpp"
#include "remuda/detail/shared_block.hpp"
#include "remuda/detail/state.hpp"
#include "remuda/executor.hpp"
#include "remuda/wire.hpp"

namespace remuda::detail {

/// How far a call has come in the worker: who is to blame when it throws.
enum class call_stage { argument, running, result };

/// What a worker runs: decodes a call, makes it, encodes what it returns. Throws what any of the three throws.
using remote_function = void (*)(wire_reader& in, wire_writer& out, call_stage& stage);

template <class F, class R, class... Args>
void run_remote(wire_reader& in, wire_writer& out, call_stage& stage) {
  // In braces the parts are read from left to right, the order in which they were written.
  bound<F, Args...> call = [&in]() {
    if constexpr (sizeof...(Args) == 0) {
      return bound<F>{wire_read<F>(in)};
    } else {
      return bound<F, Args...>{wire_read<F>(in), std::tuple<Args...>{wire_read<Args>(in)...}};
    }
  }();
  stage = call_stage::running;
  if constexpr (std::is_void_v<R>) {
    std::move(call)();
    stage = call_stage::result;
  } else {
    const R result = std::move(call)();
    stage = call_stage::result;
    wire_write(out, result);
  }
}

template <class F, class... Args>
void write_call(wire_writer& out, const bound<F, Args...>& call) {
  wire_write(out, call.f);
  if constexpr (sizeof...(Args) != 0) {
    std::apply([&out](const Args&... each) { (wire_write(out, each), ...); }, call.args);
  }
}

struct remote_operations {
  void (*encode)(state*, wire_writer&);                 ///< the closure; may be called again after a failure
  status (*decode)(state*, wire_reader&) noexcept;      ///< reads the value; the outcome is stored
  status (*fail)(state*, std::exception_ptr) noexcept;  ///< stores an error
  status (*run_in_caller)(state*) noexcept;             ///< runs the closure in this process, without destroying it
};

/// What a process pool keeps of a task beside its state.
struct remote_part {
  const remote_operations* ops = nullptr;
  code_ref function = 0;
  std::chrono::nanoseconds timeout{0};  ///< 0: none
  std::uint32_t retries = 0;            ///< how often it may be started again after its worker died
  std::uint32_t bad_luck = 0;           ///< workers that died as it came next, and that said it had not begun
  std::uint64_t id = 0;                 ///< number of the task in its pool
  std::unique_ptr<given_blocks> given;  ///< of shared buffers; goes with the closure. Null: none
  state* before = nullptr;              ///< in the list that the task is in
  state* after = nullptr;
  bool pending = false;                     ///< that list is the pool's queue; under its lock
  bool started = false;                     ///< the pool has won try_start(); of whoever has the task in hand
  atomic<std::uint64_t> place{in_no_ring};  ///< lane and position, or one of these:

  static constexpr std::uint64_t in_no_ring = 0;
  static constexpr std::uint64_t in_hand = 1;  ///< out of the queue, and not yet in a ring or in the queue again
};

/// The closure stays here until the task has ended, so that a task whose worker died can be sent again.
template <class Closure, class T, bool Detached>
struct remote_task;

template <class F, class... Args, class T, bool Detached>
struct remote_task<bound<F, Args...>, T, Detached> final : value_state<T> {
  using closure_type = bound<F, Args...>;

  template <class Make>
  remote_task(const Make& make, std::uint64_t home_id)
      : value_state<T>(&operations, Detached ? 1U : 2U, home_id), closure(make()) {
    static const code_ref function = code_ref_of(reinterpret_cast<const void*>(&run_remote<F, T, Args...>));
    part.ops = &remote;
    part.function = function;
    this->word.arm();
  }
  ~remote_task() {}

  remote_part part;
  union {
    closure_type closure;
  };

  static remote_task* self(state* s) { return static_cast<remote_task*>(s); }
  static void encode(state* s, wire_writer& out) { write_call(out, self(s)->closure); }
  static status decode(state* s, wire_reader& in) noexcept {
    return self(s)->fill([&]() -> T {
      if constexpr (!std::is_void_v<T>) return wire_read<T>(in);
    });
  }
  static status fail(state* s, std::exception_ptr e) noexcept { return self(s)->value_state<T>::fail(std::move(e)); }
  static status run_in_caller(state* s) noexcept {
    return self(s)->fill([s]() -> decltype(auto) { return std::move(self(s)->closure)(); });
  }
  static void discard(state* s) noexcept {
    self(s)->closure.~closure_type();
    self(s)->part.given.reset();
  }
  static void destroy(state* s) noexcept { free_block(self(s)); }
  static remote_part* part_of(state* s) noexcept { return &self(s)->part; }
  static constexpr remote_operations remote{&encode, &decode, &fail, &run_in_caller};
  static constexpr state_operations operations{nullptr, &discard, &destroy, Detached, &part_of};
};

}  // namespace remuda::detail
