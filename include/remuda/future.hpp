// future<T> and promise<T>: a result that arrives later, one atomic word of state, callbacks run by whoever completes
// it.
//
// A future is a shared handle, as in Python's concurrent.futures: copies name the same result. Handles may be used from
// several threads as long as each thread uses its own copy or only const operations.
#pragma once

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "remuda/detail/state.hpp"
#include "remuda/error.hpp"

namespace remuda {

template <class T>
class promise;

enum class cancel_mode {
  pending,  ///< only what has not started
  force,    ///< also what runs, where a pool can stop it: in a process pool
};

template <class T>
class future {
 public:
  using value_type = T;
  /// What get() returns: const T&, T& for a reference, nothing for void.
  using reference =
      std::conditional_t<std::is_void_v<T>, void,
                         std::conditional_t<std::is_reference_v<T>, T, std::add_lvalue_reference_t<const T>>>;

  /// A future of nothing: every operation but valid(), comparison and assignment throws invalid_state_error.
  future() noexcept = default;
  future(const future& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) detail::add_reference(state_);
  }
  future(future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  future& operator=(future other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~future() {
    if (state_ != nullptr) detail::release_reference(state_);
  }

  bool valid() const noexcept { return state_ != nullptr; }

  /// Waits, then returns the value or rethrows the task's exception; may be called any number of times from any thread.
  /// The reference lives as long as some handle to this result. Blocks. Inside a task of the same pool the awaited task
  /// is run here if nobody has started it, else the worker's seat goes to a spare thread, so it cannot deadlock. Throws
  /// cancelled_error, invalid_state_error after take(), and whatever the task threw.
  reference get() const { return result(detail::wait(checked(), {})); }

  /// As get(), for at most `timeout`; then throws timeout_error and leaves task and future as they are.
  template <class Rep, class Period>
  reference get_for(std::chrono::duration<Rep, Period> timeout) const {
    const detail::status s = detail::wait(checked(), detail::after(timeout));
    if (!detail::is_final(s)) throw timeout_error("the future is not finished within the time given");
    return result(s);
  }

  /// Waits, then moves the value out, for its only consumer. A second take(), and get() after it, throw
  /// invalid_state_error. Blocks; otherwise throws as get().
  T take() {
    const detail::status s = detail::wait(checked(), {});
    if (s != detail::status::value || !state_->word.try_take()) return refuse_take();
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*state_->value);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(state_->value);
    }
  }

  /// Blocks until value, error or cancellation is there.
  void wait() const { detail::wait(checked(), {}); }

  /// Blocks for at most `timeout`; true when the future is done.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return detail::is_final(detail::wait(checked(), detail::after(timeout)));
  }

  /// Observations, wait-free (running() of a process pool's task may take a short lock). What they announce is there to
  /// be read: done() and then get() never blocks.
  bool done() const { return detail::is_final(checked()->word.current()); }
  bool running() const { return detail::observe(checked()) == detail::status::running; }
  bool cancelled() const { return checked()->word.current() == detail::status::cancelled; }

  /// pending: true, and the future is cancelled for ever (callbacks run here); running or finished: false and nothing
  /// changes; cancelled already: true. With cancel_mode::force a process pool also stops a task that runs, by replacing
  /// its worker: true; a thread pool cannot. Lock-free for a thread pool, else it may take a short lock.
  bool cancel(cancel_mode mode = cancel_mode::pending) const {
    return detail::cancel(checked(), mode == cancel_mode::force);
  }

  /// If nobody has started the task, runs it on the calling thread and returns true; never waits. For a thread that
  /// would rather work than sleep: `f.run_here(); f.get();`. Lock-free, apart from the task itself.
  bool run_here() const { return detail::run_here(checked()); }

  /// Waits, then returns the stored exception (cancelled_error when cancelled), or null when there is a value. Blocks.
  std::exception_ptr error() const {
    switch (detail::wait(checked(), {})) {
      case detail::status::error:
        return state_->error;
      case detail::status::cancelled:
        return std::make_exception_ptr(cancelled_error("the task was cancelled before it started"));
      default:
        return nullptr;
    }
  }

  /// Calls `callback(const future<T>&)` exactly once: inline on the completing thread, or at once on this thread when
  /// the future is done. Callbacks of a future run in the order added; one that throws is reported to the pool's error
  /// hook. On one thread callbacks do not nest: one that completes another future runs to its end before that future's
  /// callbacks start, so that chains of any length use constant stack (unless it waits: then they run first).
  /// Lock-free. Throws std::bad_alloc.
  template <class F>
    requires std::invocable<std::decay_t<F>&, const future<T>&>
  void on_done(F&& callback) const {
    auto run = [f = std::decay_t<F>(std::forward<F>(callback))](detail::state* s) mutable {
      const borrowed self(static_cast<detail::value_state<T>*>(s));
      std::invoke(f, self.handle);
    };
    detail::attach(checked(), detail::make_node(std::move(run)));
  }

  /// A future of `f(value)` (of `f()` for void), run inline by whoever completes this one. An error or cancellation of
  /// this future passes `f` by and arrives in the returned one; what `f` throws arrives there too. Lock-free.
  template <class F>
  auto then(F&& f) const {
    using fn = std::decay_t<F>;
    using result_type = typename decltype(then_result<fn>())::type;
    auto* next = detail::make_block<detail::plain_state<result_type>>(2U, checked()->home);
    future<result_type> out(next);
    promise<result_type> promised(next);
    detail::attach(state_,
                   detail::make_node(continuation<fn, result_type>{std::move(promised), fn(std::forward<F>(f))}));
    return out;
  }

  friend bool operator==(const future& a, const future& b) noexcept { return a.state_ == b.state_; }

  /// For the library: adopts one reference.
  explicit future(detail::value_state<T>* adopted) noexcept : state_(adopted) {}
  detail::value_state<T>* state() const noexcept { return state_; }

 private:
  template <class U>
  friend class promise;

  template <class U>
  struct type_of {
    using type = U;
  };
  template <class F>
  static auto then_result() {
    if constexpr (std::is_void_v<T>) {
      return type_of<std::invoke_result_t<F&&>>{};
    } else {
      return type_of<std::invoke_result_t<F&&, reference>>{};
    }
  }

  /// A handle that does not count: for the time of a callback the block is alive anyway.
  struct borrowed {
    explicit borrowed(detail::value_state<T>* s) noexcept : handle(s) {}
    ~borrowed() { handle.state_ = nullptr; }
    borrowed(const borrowed&) = delete;
    borrowed& operator=(const borrowed&) = delete;
    future handle;
  };

  template <class F, class R>
  struct continuation {
    promise<R> next;
    F f;
    void operator()(detail::state* s) {
      auto* self = static_cast<detail::value_state<T>*>(s);
      switch (self->word.current()) {
        case detail::status::value:
          next.fulfil([&]() -> decltype(auto) {
            if constexpr (std::is_void_v<T>) {
              return std::invoke(std::move(f));
            } else if constexpr (std::is_reference_v<T>) {
              return std::invoke(std::move(f), static_cast<T>(*self->value));
            } else {
              return std::invoke(std::move(f), std::as_const(self->value));
            }
          });
          break;
        case detail::status::error:
          next.fulfil_error(self->error);
          break;
        case detail::status::cancelled:
          next.get_cancelled();
          break;
        default:  // taken before the continuation was added
          next.fulfil_error(std::make_exception_ptr(invalid_state_error("then: the value was taken out before")));
      }
    }
  };

  detail::value_state<T>* checked() const {
    if (state_ == nullptr) throw invalid_state_error("this future is empty: it was moved from or default-constructed");
    return state_;
  }

  reference result(detail::status s) const {
    if (s == detail::status::value) {
      if constexpr (std::is_void_v<T>) {
        return;
      } else if constexpr (std::is_reference_v<T>) {
        return static_cast<T>(*state_->value);
      } else {
        return state_->value;
      }
    }
    if (s == detail::status::error) std::rethrow_exception(state_->error);
    detail::throw_for(s, "get");
  }

  [[noreturn]] T refuse_take() const {
    const detail::status s = state_->word.current();
    if (s == detail::status::error) std::rethrow_exception(state_->error);
    detail::throw_for(s, "take");
  }

  detail::value_state<T>* state_ = nullptr;
};

/// The writing end. Not thread-safe as an object, but set_value() races with cancel() of the future as one would wish.
template <class T>
class promise {
 public:
  promise() : promise(detail::make_block<detail::plain_state<T>>(1U, std::uint64_t{0})) {}
  promise(promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  promise& operator=(promise&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  /// Without a result the future completes with broken_promise.
  ~promise() {
    if (state_ == nullptr) return;
    if (state_->word.try_start()) {
      detail::complete(
          state_, state_->fail(std::make_exception_ptr(broken_promise("the promise was destroyed without a result"))));
    }
    detail::release_reference(state_);
  }

  /// May be called several times; the futures share the result. Throws invalid_state_error when moved from.
  future<T> get_future() const {
    detail::add_reference(checked());
    return future<T>(state_);
  }

  /// Completes the future; callbacks run here, before it returns (but see future::on_done for nesting). Throws
  /// invalid_state_error when there is a result or a cancellation already: it names the state found and changes
  /// nothing. If making the value throws, the future gets that error. Lock-free.
  template <class... Args>
    requires(std::is_void_v<T> ? sizeof...(Args) == 0 : sizeof...(Args) == 1)
  void set_value(Args&&... args) {
    start("set_value");
    detail::complete(state_, state_->fill([&]() -> decltype(auto) {
      if constexpr (!std::is_void_v<T>) return (std::forward<Args>(args), ...);
    }));
  }

  /// As set_value, with an error. Throws std::invalid_argument for a null pointer.
  void set_error(std::exception_ptr e) {
    if (e == nullptr) throw std::invalid_argument("promise::set_error: the exception pointer is null");
    start("set_error");
    detail::complete(state_, state_->fail(std::move(e)));
  }

  /// For the library: adopts one reference; and completions that a cancellation may overtake silently.
  explicit promise(detail::value_state<T>* adopted) noexcept : state_(adopted) {}
  template <class Make>
  void fulfil(Make&& make) noexcept {
    if (state_->word.try_start()) detail::complete(state_, state_->fill(std::forward<Make>(make)));
  }
  void fulfil_error(std::exception_ptr e) noexcept {
    if (state_->word.try_start()) detail::complete(state_, state_->fail(std::move(e)));
  }
  void get_cancelled() noexcept { detail::cancel(state_); }

 private:
  detail::value_state<T>* checked() const {
    if (state_ == nullptr) throw invalid_state_error("this promise is empty: it was moved from");
    return state_;
  }
  void start(const char* operation) {
    if (!checked()->word.try_start()) detail::throw_for(state_->word.current(), operation);
  }

  detail::value_state<T>* state_ = nullptr;
};

namespace detail {
/// "pending", "running", "cancelled", "value" or "error: TYPE NAME".
std::string describe(status s, const std::exception_ptr* error);
void print(std::ostream& out, const std::string& text);
}  // namespace detail

/// "future: pending", "running", "cancelled", "value", "error (type name)", "taken" or "empty".
template <class T>
std::string to_string(const future<T>& f) {
  if (!f.valid()) return "empty";
  const detail::status s = detail::observe(f.state());
  return detail::describe(s, s == detail::status::error ? &f.state()->error : nullptr);
}

template <class T>
std::ostream& operator<<(std::ostream& out, const future<T>& f) {
  detail::print(out, to_string(f));
  return out;
}

}  // namespace remuda
