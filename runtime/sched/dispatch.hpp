// What the parts of the scheduler share about callbacks and errors.
#pragma once

#include <exception>

namespace remuda::detail {

struct batch;

/// Callbacks that a thread has yet to run.
struct trampoline {
  batch* first = nullptr;
  batch* last = nullptr;
};

/// While it lives the callbacks of what this thread completes are put off. Its end runs them, unless this thread is
/// inside another callback: then they run after that one. So who completes several tasks has completed all of them
/// before a callback can wait for one.
class callbacks_at_end {
 public:
  callbacks_at_end();
  ~callbacks_at_end();
  callbacks_at_end(const callbacks_at_end&) = delete;
  callbacks_at_end& operator=(const callbacks_at_end&) = delete;

 private:
  trampoline mine_;
};

/// A task that runs on top of a callback (because the callback waits for it) runs its own callbacks itself, before it
/// counts as finished, instead of leaving them to the callback below it.
class fresh_dispatch {
 public:
  fresh_dispatch();
  ~fresh_dispatch();
  fresh_dispatch(const fresh_dispatch&) = delete;
  fresh_dispatch& operator=(const fresh_dispatch&) = delete;

 private:
  void* outer_;
};

/// Runs the callbacks that this thread has put off because it is inside another one. Before it blocks: what it waits
/// for may be behind them.
void run_deferred_callbacks();

/// The default error hook: one line on stderr.
void print_error(const std::exception_ptr& error) noexcept;

}  // namespace remuda::detail
