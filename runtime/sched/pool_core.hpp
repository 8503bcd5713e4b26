// The inside of a thread pool. Its parts, in the order in which a task meets them:
//   pool_core.cpp  start, schedule, stop         worker.cpp  find work, run it, go to sleep
//   wake.cpp       wake a sleeper, end the pool  handoff.cpp a task blocks: its seat goes to a spare thread
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "runtime/lockfree/idle_set.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/sched/outside_queue.hpp"
#include "runtime/sched/pool_home.hpp"
#include "runtime/sched/seat.hpp"
#include "runtime/sched/settings.hpp"
#include "runtime/sync/asymmetric_fence.hpp"
#include "runtime/topo/placement.hpp"

namespace remuda::detail {

/// One thread of a pool. Without a seat it is a spare that sleeps, or a guest: it runs the rest of a task that blocked.
struct pool_thread {
  pool_core* core = nullptr;
  detail::seat* seat = nullptr;
  bool guest = false;     // counted in guests_ until its task ends
  bool reserved = false;  // a spare that was started for a seat which is on its way
  bool started = false;   // on_start has been called
  const char* stack_base = nullptr;
  parker mailbox;                  // a spare waits here for a seat, or for the end (null seat)
  detail::seat* handed = nullptr;  // written before the mailbox gets its token
};

/// The pool thread that runs this code; null on all other threads.
extern constinit thread_local pool_thread* this_thread;

class pool_core final : public pool_home {
 public:
  explicit pool_core(thread_pool_options options);
  ~pool_core() override;

  /// Starts the workers; see thread_pool's constructor for what it throws.
  void start();
  std::uint64_t id() const { return id_; }
  unsigned size() const { return static_cast<unsigned>(seats_.size()); }
  pool_stats stats() const;
  const pool_settings& settings() const { return settings_; }

  /// Takes over one reference, also when it throws.
  void schedule(state* task);
  void shutdown(shutdown_mode mode);
  /// The end of the pool object: shutdown, or, where that cannot wait, leaving the end to the workers.
  void abandon();
  /// The same in a forked child: there is nothing to join, and what the threads that are not here held cannot be freed.
  void leave_behind() noexcept;

  /// Runs a task that nobody has started on this thread, or cancels it where a shutdown says so. False when it was
  /// started before, or more than the given part of the stack is in use. REQUIRES: inside().
  bool claim(state* task, std::size_t stack_in_use);
  /// Runs it on a thread that is not of the pool. False when it was started before, or a shutdown cancels it.
  bool run_as_guest(state* task) override;
  /// Past a comfortable depth a fresh stack, a spare thread's, is better; where there is none, nearly all of this one.
  static std::size_t comfortable_stack();
  static std::size_t all_stack();

  /// Before this pool thread blocks: gives its seat to a spare thread. Nothing when it has none to give.
  void hand_off(pool_thread& me);

  /// The thread runs a task of this pool: it belongs to it, or is a guest from outside.
  bool inside() const override { return inside(id_) != nullptr; }
  /// The pool with that id, if the thread is inside it; else null.
  static pool_core* inside(std::uint64_t id);
  /// Where this thread sits in this pool; null when it does not.
  seat* own_seat() const { return this_thread != nullptr && this_thread->core == this ? this_thread->seat : nullptr; }
  void report(std::exception_ptr error) noexcept override;
  const os::cpu_mask& mask() const { return mask_; }

 private:
  pool_core(thread_pool_options& options, pool_start start);

  // worker.cpp
  void run_thread(pool_thread& me, seat* first);
  void run_claimed(state* task);
  void take_back(seat& s, state* task);
  state* next(seat& s);
  state* poll(seat& s, unsigned rings);
  state* take_outside(seat& s, std::size_t most);
  state* steal(seat& s, unsigned rings);
  state* first_task(seat& s);
  state* search(seat& s, bool searching);
  bool wake_self(seat& s);
  bool park(seat& s);
  bool sleep(seat& s, bool searching);
  bool work_visible() const;
  void execute(seat& s, state* task);

  // pool_core.cpp
  void start_thread(seat* s);
  void stop_started();
  void schedule_outside(state* task);
  void schedule_late(state* task, const bool* refused);
  bool admit(state* task);
  void ran_here(state* task);
  void left_queue();
  void join_all();

  // wake.cpp
  void wake_one(const seat* near);
  void wake(unsigned worker);
  /// After a push onto the deque of `s` by the worker that sits there.
  void after_push(const seat& s) {
    asymmetric_fence::light();  // pairs with heavy() in sleep()
    if (idle_.sleeping(idle_.look()) != 0) wake_after_push(s);
  }
  void wake_after_push(const seat& s);
  void wake_unless_taken();
  void wake_for_check();
  bool try_terminate();
  void wake_next_to_end(const seat* s);

  void first_turn(unsigned index);

  // handoff.cpp
  void take_seat(pool_thread& me, seat* s);
  bool wait_as_spare(pool_thread& me);
  pool_thread* find_spare();
  // relaxed: the claim of a task that follows publishes it
  void enter_guest() override { guests_.fetch_add(one_entry + 1, std_sync::relaxed); }
  void leave_guest() override;

  const thread_pool_options options_;  // settings_ has what it leaves open
  const pool_settings settings_;
  const std::uint64_t id_;
  os::cpu_mask mask_;  // of the thread that made the pool
  topo::placement placement_;
  unsigned searchers_;  // how many may spin at a time
  outside_queue outside_;
  std::vector<std::unique_ptr<seat>> seats_;
  idle_set<std_sync> idle_;
  static constexpr std::uint64_t one_entry = std::uint64_t{1} << 32;
  alignas(cache_line) atomic<std::uint64_t> guests_{0};  // how many are there, and above that how many ever came
  atomic<std::uint32_t> terminated_{0};                  // also a futex: shutdown waits on it
  atomic<bool> cancel_pending_{false};
  alignas(cache_line) atomic<std::uint64_t> queued_{0};  // bounded mode only

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::vector<std::unique_ptr<pool_thread>> members_;
  std::vector<std::thread> threads_;
  std::vector<pool_thread*> spares_;
  std::size_t spare_threads_ = 0;
  std::size_t starting_ = 0;
  std::exception_ptr start_error_;
  std::mutex joining_;
  bool detached_ = false;

  const pool_core* previous_left_ = nullptr;  // leave_behind() only
  std::shared_ptr<pool_home> self_;
};

}  // namespace remuda::detail
