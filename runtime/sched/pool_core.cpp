// A pool's start, the way of a task into it, and its end.
#include "runtime/sched/pool_core.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "remuda/error.hpp"
#include "runtime/sched/delay.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/seating.hpp"
#include "runtime/sched/wait.hpp"
#include "runtime/sync/asymmetric_fence.hpp"
#include "runtime/topo/nearness.hpp"

namespace remuda::detail {
namespace {

/// Ends a task that no queue took.
void reject(state* task) {
  cancel(task);
  release_reference(task);
}

[[noreturn]] void throw_shutdown() { throw shutdown_error("the pool was shut down: it takes no more tasks"); }

}  // namespace

pool_core::pool_core(thread_pool_options options)
    : pool_core(options, start_of("thread_pool", thread_pool::max_workers,
                                  {options.profile, options.workers, options.policy, options.pin})) {}

pool_core::pool_core(thread_pool_options& options, pool_start start)
    : options_(std::move(options)),
      settings_(std::move(start.settings)),
      id_(pool_registry::new_id()),
      mask_(std::move(start.mask)),
      placement_(place_workers(start.machine, settings_.workers)),
      // More spinning threads than that only take the CPU from the one that makes what they wait for.
      searchers_(settings_.policy == wait_policy::busy_poll
                     ? placement_.workers()
                     : std::max(1U, std::min(placement_.workers(), start.machine.usable()) / 2)),
      idle_(placement_.workers()) {
  seats_.reserve(placement_.workers());
  for (unsigned i = 0; i < placement_.workers(); ++i) {
    const int cpu = settings_.pin ? static_cast<int>(placement_.cpu_of(i).os_index) : -1;
    // Unpinned ones get the pool's mask, as the thread that starts them may be pinned itself.
    seats_.push_back(std::make_unique<seat>(i, cpu, options_.name + "/" + std::to_string(i),
                                            cpu < 0 ? mask_ : os::cpu_mask({static_cast<unsigned>(cpu)}),
                                            outside_.make_consumer(), settings_.spin));
    const unsigned near = topo::rings_within(placement_, i, settings_.steal_near);
    seats_.back()->near_rings = settings_.near_looks == 0 ? placement_.ring_count(i) : near;
    // Asleep before its thread is there: a wake-up finds it parked, or about to.
    if (settings_.policy != wait_policy::busy_poll) idle_.announce(i, false);
  }
}

pool_core::~pool_core() { pool_registry::remove(id_); }

void pool_core::leave_behind() noexcept {
  static constinit const pool_core* newest =
      nullptr;  // reachable, so that leak checkers see that it is kept on purpose
  previous_left_ = std::exchange(newest, this);
  self_ = shared_from_this();
}

void pool_core::start() {
  asymmetric_fence::prepare();
  try {
    const std::lock_guard lock(mutex_);
    pool_registry::add(shared_from_this(), id_);
    members_.reserve(seats_.size());
    threads_.reserve(seats_.size());
    starting_ = options_.on_start ? seats_.size() : 0;
    for (const auto& s : seats_) start_thread(s.get());
  } catch (const std::system_error& e) {
    const std::size_t started = threads_.size();
    stop_started();
    throw std::system_error(e.code(), "thread_pool: only " + std::to_string(started) + " of " +
                                          std::to_string(seats_.size()) +
                                          " workers could be started; look at the limits on threads (ulimit -u, the "
                                          "cgroup's pids.max) and on memory, or ask for fewer workers");
  } catch (...) {
    stop_started();
    throw;
  }
  if (options_.on_start) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return starting_ == 0; });
    if (start_error_ != nullptr) {
      lock.unlock();
      stop_started();
      std::rethrow_exception(start_error_);
    }
  }
}

/// REQUIRES: the mutex is held. Strong guarantee.
void pool_core::start_thread(seat* s) {
  auto& me = *members_.emplace_back(std::make_unique<pool_thread>());
  me.core = this;
  me.reserved = s == nullptr;
  try {
    threads_.emplace_back([keep = shared_from_this(), this, &me, s] { run_thread(me, s); });
  } catch (...) {
    members_.pop_back();
    throw;
  }
  if (detached_) threads_.back().detach();
}

/// Ends those workers that were started before the start failed. They have had no work.
void pool_core::stop_started() {
  idle_.close();
  {
    const std::lock_guard lock(mutex_);
    terminated_.store(1, std_sync::release);
  }
  for (const auto& s : seats_) s->sleep.unpark();
  join_all();
}

void pool_core::schedule(state* task) {
  if (pool_registry::forked_since(id_)) {
    reject(task);
    throw_forked();
  }
  static constinit thread_local std::uint32_t submits = 0;
  task->submitted_at = delay_stamp(submits);
  if (options_.max_pending != 0 && !admit(task)) return;
  seat* const mine = own_seat();
  if (mine == nullptr) return schedule_outside(task);
  try {
    mine->deque.push(task);
  } catch (...) {
    if (options_.max_pending != 0) left_queue();
    reject(task);
    throw;
  }
  after_push(*mine);
}

void pool_core::schedule_outside(state* task) {
  // Tasks that run may still submit while the pool shuts down: the pool does not end before they do.
  const bool of_the_pool = inside();
  const bool closed = !of_the_pool && idle_.closing(idle_.look());
  const bool posted = task->ops->detached;
  bool refused = false;
  try {
    if (closed) throw_shutdown();
    if (posted) static_cast<value_state<void>*>(task)->refused = &refused;
    outside_.push(task);
  } catch (...) {
    if (options_.max_pending != 0) left_queue();
    reject(task);
    throw;
  }
  // The task may have run and be gone from here on.
  std_sync::full_fence();  // after the push, whose stores are not ours to order; pairs with the one in sleep()
  const auto word = idle_.look();
  if (idle_.closing(word) && !of_the_pool) return schedule_late(task, posted ? &refused : nullptr);
  if (idle_.wake_wanted(word)) wake_unless_taken();
}

/// A shutdown has come between the first look and the push. If the pool has not ended, a worker will still find the
/// task. If it has, all that is in the queue came too late, be it this task or one of another submitter on its way
/// here. A submitter learns from its future what became of its task. A posted one may have run and be gone, and be
/// another's task by now: there `refused`, which is the submitter's own, tells; otherwise it is null.
void pool_core::schedule_late(state* task, const bool* refused) {
  for (;;) {
    state* late = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (terminated_.load(std_sync::relaxed) == 0) return wake_for_check();  // relaxed: under the mutex
      if (outside_.take(&late, 1) == 0) break;
      // Its submitter takes the mutex after us and so is still there.
      if (late->ops->detached) *static_cast<value_state<void>*>(late)->refused = true;
    }
    if (options_.max_pending != 0) left_queue();
    reject(late);
  }
  if (refused != nullptr ? *refused : cancel(task)) throw_shutdown();
}

/// Bounded mode: true when the task may be queued; false when it was run here; throws when it is refused.
bool pool_core::admit(state* task) {
  const auto enter = [this] {
    std::uint64_t n = queued_.load(std_sync::relaxed);  // relaxed, here and below: it only counts
    while (n < options_.max_pending) {
      if (queued_.compare_exchange_weak(n, n + 1, std_sync::relaxed, std_sync::relaxed)) return true;
    }
    return false;
  };
  const auto closed = [this] { return !inside() && idle_.closing(idle_.look()); };
  if (enter()) return true;
  if (closed()) {
    reject(task);
    throw_shutdown();
  }
  if (options_.full == when_full::fail) {
    reject(task);
    throw pool_full_error("the pool has " + std::to_string(options_.max_pending) + " tasks queued, its bound");
  }
  if (inside()) {
    // On top of the task that submits it, while there is stack for that; a chain of tasks would need more and more of
    // it.
    if (claim(task, comfortable_stack())) {
      ran_here(task);
      return false;
    }
    queued_.fetch_add(1, std_sync::relaxed);  // above the bound: waiting could be waiting for oneself
    return true;
  }
  if (options_.full == when_full::block) {
    give_up_seat();  // of another pool
    std::unique_lock lock(mutex_);
    bool entered = false;
    changed_.wait(lock, [&] { return closed() || (entered = enter()); });
    if (entered) return true;
  }
  const auto keep = shared_from_this();  // the task may destroy the pool object
  const guest_visit visit(*this);        // before the look, so that a shutdown that comes after it waits
  std_sync::full_fence();
  if (closed()) {
    reject(task);
    throw_shutdown();
  }
  if (!run_as_guest(task)) {  // a shutdown that cancels has come
    reject(task);
    throw_shutdown();
  }
  ran_here(task);
  return false;
}

/// After a task that no queue had.
void pool_core::ran_here(state* task) {
  if (task->ops->detached && task->word.current() == status::error) {
    report(static_cast<value_state<void>*>(task)->error);
  }
  release_reference(task);
}

void pool_core::left_queue() {
  if (queued_.fetch_sub(1, std_sync::relaxed) != options_.max_pending) return;
  { const std::lock_guard lock(mutex_); }  // a submitter that has found it full is asleep now
  changed_.notify_all();
}

void pool_core::shutdown(shutdown_mode mode) {
  if (pool_registry::forked_since(id_)) return;  // the workers are the parent's
  if (mode == shutdown_mode::cancel_pending) cancel_pending_.store(true, std_sync::relaxed);
  const auto word = idle_.close();
  { const std::lock_guard lock(mutex_); }  // a submitter that waits for room is asleep, or sees close()
  changed_.notify_all();
  if (idle_.all_sleep(word)) wake_for_check();
  if (inside()) return;
  wait_for_change(terminated_, 0, {});
  join_all();
}

void pool_core::abandon() {
  if (inside()) {
    const std::lock_guard lock(mutex_);
    detached_ = true;
    for (auto& t : threads_) {
      if (t.joinable()) t.detach();
    }
  }
  shutdown(shutdown_mode::wait);
}

void pool_core::join_all() {
  const std::lock_guard joining(joining_);  // a second caller waits for the first
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    if (detached_) return;
    threads.swap(threads_);
  }
  for (auto& t : threads) t.join();
}

void pool_core::report(std::exception_ptr error) noexcept {
  if (!options_.on_error) return print_error(error);
  try {
    options_.on_error(std::move(error));
  } catch (...) {
    print_error(std::current_exception());
  }
}

}  // namespace remuda::detail
