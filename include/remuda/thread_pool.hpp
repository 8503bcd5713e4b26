// thread_pool: workers started once, one per usable core, that steal work from each other.
//
// Scheduling after Chase and Lev (deques), Lê et al. 2013 (their memory orders), and the idle protocols of rayon and
// tokio; see runtime/README.md for a task's way through it and runtime/sched/SLEEP.md for going to sleep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "remuda/executor.hpp"
#include "remuda/future.hpp"
#include "remuda/map.hpp"
#include "remuda/stats.hpp"
#include "remuda/wait_policy.hpp"

namespace remuda {

/// What submit does when a bounded pool is full.
enum class when_full {
  block,        ///< waits for room; inside a task of the pool, which might be what makes the room, as caller_runs
  fail,         ///< throws pool_full_error
  caller_runs,  ///< runs the new task at once on the submitting thread. A task of the pool does so while there is stack
                ///< for it; beyond that its new tasks are queued above the bound
};

struct thread_pool_options {
  /// Default: as the profile says, else one per usable CPU (affinity mask, cgroup cpuset, cgroup quota), physical cores
  /// before SMT siblings.
  std::optional<unsigned> workers = std::nullopt;
  /// Default: as the profile says, else balanced.
  std::optional<wait_policy> policy = std::nullopt;
  /// Tasks that may be queued; 0: no bound.
  std::size_t max_pending = 0;
  when_full full = when_full::block;
  /// Threads are named "NAME/0", "NAME/1" ...; the kernel keeps 15 bytes.
  std::string name = "remuda";
  /// Pins each worker to its CPU, inside the affinity mask of the constructing thread. Default: as the profile says,
  /// else true.
  std::optional<bool> pin = std::nullopt;
  /// File with settings for what is left open here (profile.hpp); "": none. Default: what REMUDA_PROFILE names, else
  /// the one in the user's configuration folder, if there is one. A file that cannot be used costs a line on stderr.
  std::optional<std::string> profile = std::nullopt;
  /// Called in each worker with its index before any task. If one throws, the constructor joins all and rethrows it.
  std::function<void(unsigned)> on_start = nullptr;
  /// Gets what callbacks and posted tasks throw, on the thread where it happened. Default: one line on stderr.
  std::function<void(std::exception_ptr)> on_error = nullptr;
};

struct pool_settings;

namespace detail {
class pool_core;
}

class thread_pool {
 public:
  static constexpr unsigned max_workers = 4096;

  /// Starts all workers. Throws std::invalid_argument for 0 or more than max_workers, std::system_error when the system
  /// gives no more threads (those started are joined first), and what on_start throws. Blocks until they have started.
  thread_pool();
  explicit thread_pool(unsigned workers);
  explicit thread_pool(thread_pool_options options);
  /// shutdown(wait). From inside one of its own tasks it cannot wait: it returns at once, and the workers finish all
  /// accepted work and end by themselves.
  ~thread_pool();

  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  /// Queues f(args...). Function and arguments are decayed and moved in once; they are destroyed as soon as the task
  /// has ended. Any thread, lock-free (apart from when_full::block). Throws shutdown_error after shutdown, except from
  /// tasks of this pool that were running then; pool_full_error; broken_pool_error in a forked child; std::bad_alloc.
  template <class F, class... Args>
  future<task_result<F, Args...>> submit(F&& f, Args&&... args) {
    using result = task_result<F, Args...>;
    auto* task = make<result, false>(std::forward<F>(f), std::forward<Args>(args)...);
    future<result> out(task);
    schedule(task);
    return out;
  }

  /// As submit, without a future: nobody waits for it, an exception goes to the error hook.
  template <class F, class... Args>
  void post(F&& f, Args&&... args) {
    schedule(make<void, true>(std::forward<F>(f), std::forward<Args>(args)...));
  }

  /// Results of f over a range, lazily and in input order: see map.hpp.
  template <class F, class Range>
  auto map(F f, Range&& range, map_options options = {}) {
    return remuda::map(*this, std::move(f), std::forward<Range>(range), options);
  }

  /// Ends the pool; later submits throw shutdown_error. Returns when all tasks and their callbacks are done and every
  /// thread is gone; from inside a task of the pool it returns at once. Calling it again is harmless.
  void shutdown(shutdown_mode mode = shutdown_mode::wait);

  /// Number of workers.
  unsigned size() const noexcept;
  /// Counters of all workers; any thread, any time. Allocates.
  pool_stats stats() const;
  /// What the pool runs with, from options, profile and what is built in. Its type is in profile.hpp.
  const pool_settings& settings() const noexcept;

 private:
  template <class R, bool Detached, class F, class... Args>
  auto* make(F&& f, Args&&... args) {
    using closure = detail::bound<std::decay_t<F>, std::decay_t<Args>...>;
    using task = detail::task_state<closure, R, Detached>;
    const auto bind = [&] {
      if constexpr (sizeof...(Args) == 0) {
        return closure{std::forward<F>(f)};
      } else {
        return closure{std::forward<F>(f), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
      }
    };
    return detail::make_block<task>(bind, id_);
  }
  /// Takes over the queue's reference, also when it throws.
  void schedule(detail::state* task);

  std::shared_ptr<detail::pool_core> core_;
  std::uint64_t id_ = 0;
};

namespace detail {
/// Gives the worker's seat to a spare thread.
class blocking_region {
 public:
  blocking_region();
  ~blocking_region() = default;
  blocking_region(const blocking_region&) = delete;
  blocking_region& operator=(const blocking_region&) = delete;
};

/// Lets a pinned worker run on all CPUs of its pool while it lives.
class unpinned_region {
 public:
  unpinned_region();
  ~unpinned_region();
  unpinned_region(const unpinned_region&) = delete;
  unpinned_region& operator=(const unpinned_region&) = delete;
};
}  // namespace detail

/// Runs `f()`, which may block for long (I/O, locks), while a spare thread keeps the worker's core busy. Outside of a
/// task it just runs `f`. Throws what `f` throws.
template <class F>
decltype(auto) blocking(F&& f) {
  const detail::blocking_region region;
  return std::invoke(std::forward<F>(f));
}

/// Runs `f()` with the affinity mask that the pool was made with. A thread inherits the mask of the one that starts it,
/// so a task starts threads of its own in here, lest they all share the worker's one CPU. Outside of a task it just
/// runs `f`. Throws what `f` throws.
template <class F>
decltype(auto) unpinned(F&& f) {
  const detail::unpinned_region region;
  return std::invoke(std::forward<F>(f));
}

}  // namespace remuda
