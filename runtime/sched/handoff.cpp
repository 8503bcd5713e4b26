// A task that blocks: its seat goes to a spare thread, so that the CPU and the queue are not blocked with it.
//
// The thread that blocked runs the rest of its task without a seat, as a guest, and becomes a spare itself when the
// task has ended. Spares are kept for the next time, up to a bound. Beyond the bound a task blocks in its seat: tasks
// that wait for tasks still finish, since whoever waits for an unstarted task runs it, but a promise that only a queued
// task will fulfil may then wait for ever.
#include <pthread.h>

#include <algorithm>

#include "runtime/lockfree/slab.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/pool_core.hpp"
#include "runtime/sched/wait.hpp"

namespace remuda::detail {
namespace {

constexpr std::size_t most_spares = 1024;

/// The tasks of other pools than its own that a thread runs, the innermost one first.
struct visited_pool {
  pool_core* core;
  const visited_pool* outer;
};
constinit thread_local const visited_pool* visited = nullptr;

std::size_t default_stack_size() {
  static const std::size_t size = [] {
    pthread_attr_t attributes;
    std::size_t bytes = 0;
    if (pthread_attr_init(&attributes) != 0) return bytes;
    pthread_attr_getstacksize(&attributes, &bytes);
    pthread_attr_destroy(&attributes);
    return bytes;
  }();
  return size;
}

/// The stack of an outside thread. The system is asked once for each thread, when a guest waits for the first time.
struct stack_extent {
  std::uintptr_t lowest = 0;
  std::size_t size = 0;  // 0: it could not be told
};

stack_extent outside_stack() {
  thread_local const stack_extent mine = [] {
    pthread_attr_t attributes;
    void* lowest = nullptr;
    std::size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return stack_extent{};
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    return stack_extent{reinterpret_cast<std::uintptr_t>(lowest), size};
  }();
  return mine;
}

/// At most `most` bytes of this thread's stack are in use.
bool stack_allows(std::size_t most) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (this_thread != nullptr) return reinterpret_cast<std::uintptr_t>(this_thread->stack_base) - here <= most;
  const stack_extent all = outside_stack();
  // On a stack that the program has made itself, such as a fiber's, the difference is far too large.
  return all.lowest + all.size - here <= std::min(most, all.size / 4 * 3);
}

}  // namespace

constinit thread_local pool_thread* this_thread = nullptr;

pool_core* pool_core::inside(std::uint64_t id) {
  if (this_thread != nullptr && this_thread->core->id_ == id) return this_thread->core;
  for (const auto* v = visited; v != nullptr; v = v->outer) {
    if (v->core->id_ == id) return v->core;
  }
  return nullptr;
}

std::size_t pool_core::comfortable_stack() { return std::min(std::size_t{1} << 20, default_stack_size() / 2); }
std::size_t pool_core::all_stack() { return default_stack_size() / 4 * 3; }

bool pool_core::claim(state* task, std::size_t stack_in_use) {
  if (!stack_allows(stack_in_use)) return false;
  if (cancel_pending_.load(std_sync::relaxed)) return cancel(task);  // relaxed: at most one more task starts
  if (!task->word.try_start()) return false;
  if (seat* const s = own_seat()) take_back(*s, task);
  run_claimed(task);
  return true;
}

/// Who waits for a task has often submitted it last. Then it leaves the deque here, with the queue's reference, instead
/// of staying as a dead entry until somebody pops it. (The waiting future keeps it alive.)
void pool_core::take_back(seat& s, state* task) {
  state* const newest = s.deque.pop();
  if (newest == nullptr) return;
  if (newest == task) {
    if (options_.max_pending != 0) left_queue();
    return release_reference(task);
  }
  s.deque.push(newest);  // no growth: its place is free
  after_push(s);         // it was out of sight for a moment
}

void pool_core::take_seat(pool_thread& me, seat* s) {
  // If the system says no to either, the thread works as it is.
  os::set_thread_name(s->name);
  os::set_affinity(s->mask);
  // Before the thread has the seat: what on_start waits for must not make it hand the seat on.
  if (!std::exchange(me.started, true) && options_.on_start) first_turn(s->index);
  me.seat = s;
}

/// Calls on_start. The constructor of the pool waits for the workers'; a spare that comes later can only report an
/// error.
void pool_core::first_turn(unsigned index) {
  std::exception_ptr failure;
  try {
    options_.on_start(index);
  } catch (...) {
    failure = std::current_exception();
  }
  std::unique_lock lock(mutex_);
  if (starting_ == 0) {
    lock.unlock();
    if (failure != nullptr) report(failure);
    return;
  }
  --starting_;
  if (start_error_ == nullptr) start_error_ = failure;
  changed_.notify_all();
}

void pool_core::hand_off(pool_thread& me) {
  if (me.seat == nullptr) return;
  flush_remote_frees();  // it may block for long, and their owners would take new memory meanwhile
  pool_thread* const spare = find_spare();
  if (spare == nullptr) return;
  enter_guest();
  me.guest = true;
  spare->handed = std::exchange(me.seat, nullptr);
  if (spare->handed->cpu >= 0) os::set_affinity(mask_);
  spare->mailbox.unpark();
}

pool_thread* pool_core::find_spare() {
  const std::lock_guard lock(mutex_);
  if (!spares_.empty()) {
    pool_thread* const spare = spares_.back();
    spares_.pop_back();
    return spare;
  }
  if (spare_threads_ == most_spares) return nullptr;
  try {
    start_thread(nullptr);
  } catch (...) {  // no more threads or memory: the task blocks in its seat
    return nullptr;
  }
  ++spare_threads_;
  return members_.back().get();
}

/// False when the pool has ended.
bool pool_core::wait_as_spare(pool_thread& me) {
  flush_remote_frees();
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(me.reserved, false)) {
      if (terminated_.load(std_sync::relaxed) != 0) return false;  // relaxed: under the mutex
      spares_.push_back(&me);
    }
  }
  me.mailbox.park();
  seat* const s = std::exchange(me.handed, nullptr);
  if (s != nullptr) take_seat(me, s);
  return s != nullptr;
}

void pool_core::leave_guest() {
  // release: all that the guest did comes before the end of the pool
  if (guests_.fetch_sub(1, std_sync::acq_rel) % one_entry != 1) return;
  std_sync::full_fence();  // the closer looks for guests after close(), and we for close() after we have left
  if (idle_.closing(idle_.look())) wake_for_check();
}

bool pool_core::run_as_guest(state* task) {
  const guest_visit visit(*this);  // before the claim, so that a shutdown that finds the task started waits for it
  if (cancel_pending_.load(std_sync::relaxed)) return false;  // relaxed: at most one more task starts
  if (!task->word.try_start()) return false;
  const visited_pool here{this, visited};
  visited = &here;
  run_claimed(task);
  visited = here.outer;
  return true;
}

void give_up_seat() {
  if (this_thread != nullptr) this_thread->core->hand_off(*this_thread);
}

blocking_region::blocking_region() { give_up_seat(); }

unpinned_region::unpinned_region() {
  if (this_thread != nullptr && this_thread->seat != nullptr) os::set_affinity(this_thread->core->mask());
}
unpinned_region::~unpinned_region() {
  if (this_thread != nullptr && this_thread->seat != nullptr) os::set_affinity(this_thread->seat->mask);
}

}  // namespace remuda::detail
