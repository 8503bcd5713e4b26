// A worker's turn: find work, run it, go to sleep. Why no wake-up is lost: SLEEP.md.
#include <chrono>
#include <utility>

#include "runtime/lockfree/slab.hpp"
#include "runtime/sched/delay.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/pool_core.hpp"
#include "runtime/sync/asymmetric_fence.hpp"

namespace remuda::detail {
namespace {

/// Outside tasks that one worker takes at once at most; the rest of them can be stolen from it.
constexpr std::size_t most_outside = 16;

std::uint64_t random(seat& s) {  // xorshift64: only spreads thieves over victims
  s.random ^= s.random << 13;
  s.random ^= s.random >> 7;
  s.random ^= s.random << 17;
  return s.random;
}

}  // namespace

void pool_core::run_thread(pool_thread& me, seat* first) {
  this_thread = &me;
  me.stack_base = static_cast<const char*>(__builtin_frame_address(0));
  if (first != nullptr) take_seat(me, first);
  bool woken = first == nullptr;
  while (me.seat != nullptr || wait_as_spare(me)) {
    state* const task = std::exchange(woken, true) ? next(*me.seat) : first_task(*me.seat);
    if (task == nullptr) {
      wake_next_to_end(me.seat);
      break;
    }
    execute(*me.seat, task);
    // A child that was forked in the task has copies of the queues, but the tasks in them are the parent's.
    if (pool_registry::forked_since(id_)) break;
    if (me.guest) {
      me.guest = false;
      leave_guest();
    }
  }
  this_thread = nullptr;
}

/// Null when the pool has ended.
state* pool_core::next(seat& s) {
  if (s.fair.outside_turn()) {
    if (state* t = take_outside(s, 1)) return t;
  }
  if (s.fair.oldest_turn()) {
    if (const auto oldest = s.deque.steal(); oldest.outcome == steal_outcome::stolen) return oldest.item;
  }
  if (state* t = s.deque.pop()) return t;
  if (state* t = poll(s, s.near_rings)) return t;
  return search(s, idle_.try_search(searchers_));
}

/// A seat begins asleep, unless its worker never sleeps. Null when the pool has ended.
state* pool_core::first_task(seat& s) {
  if (settings_.policy == wait_policy::busy_poll) return next(s);
  return park(s) ? search(s, true) : nullptr;
}

/// `rings`: whom to steal from, the nearest so many.
state* pool_core::poll(seat& s, unsigned rings) {
  // Short tasks come in batches. Long ones would wait in the batch while others are idle.
  if (state* t = take_outside(s, s.fair.short_tasks() ? most_outside : 1)) return t;
  return steal(s, rings);
}

state* pool_core::take_outside(seat& s, std::size_t most) {
  const std::size_t there = outside_.size_approx();
  if (there == 0) return nullptr;
  // A share, so that a burst is spread over the workers before anybody has to steal.
  state* tasks[most_outside];
  const std::size_t got = outside_.take(s.outside, tasks, std::min(most, 1 + there / (2 * seats_.size())));
  if (got == 0) return nullptr;
  s.counters.injected.add(got);
  for (std::size_t i = 0; i < got; ++i) __builtin_prefetch(tasks[i], 1);  // all lines under way at once
  // Newest first, so that this worker, which pops the newest, runs them in the order in which they came. The deque is
  // empty when most > 1, so that no push can run out of memory.
  for (std::size_t i = got; i-- > 1;) s.deque.push(tasks[i]);
  // They were in nobody's sight for a moment: whoever fell asleep then has not seen them.
  if (got > 1) after_push(s);
  return tasks[0];
}

state* pool_core::steal(seat& s, unsigned rings) {
  for (unsigned r = 0; r < rings; ++r) {
    const auto ring = placement_.ring(s.index, r);
    const std::size_t size = ring.size();
    const std::size_t start = size == 1 ? 0 : random(s) % size;
    for (std::size_t i = 0; i < size; ++i) {
      auto& victim = seats_[ring[(start + i) % size]]->deque;
      if (victim.size_approx() == 0) continue;
      for (;;) {
        const auto got = victim.steal();
        if (got.outcome == steal_outcome::stolen) {
          s.counters.stolen.add();
          return got.item;
        }
        if (got.outcome == steal_outcome::empty) break;
        std_sync::pause();  // lost: somebody else made progress
      }
    }
  }
  return nullptr;
}

/// The worker has nothing to do: searches, sleeps, searches again. Null when the pool has ended.
state* pool_core::search(seat& s, bool searching) {
  const auto since = clock::now();
  const unsigned all_rings = placement_.ring_count(s.index);
  // The look that led here was one of them. Whoever is about to sleep has looked everywhere.
  unsigned near_looks = s.near_rings == all_rings || settings_.near_looks == 0 ? 0 : settings_.near_looks - 1;
  for (;;) {
    spinner spin(s.budget.next());
    while (searching) {
      const bool near = near_looks != 0;
      if (near) --near_looks;
      if (state* t = poll(s, near ? s.near_rings : all_rings)) {
        // The last searcher answers for all pushers that woke nobody because it was about.
        if (idle_.stop_searching() && work_visible()) wake_one(&s);
        const auto now = clock::now();
        s.budget.observed(now - since);
        s.fair.restart(now);
        return t;
      }
      if (idle_.closing(idle_.look())) break;
      if (spin.turn()) continue;
      if (!near) break;
      near_looks = 0;
    }
    if (!sleep(s, searching)) return nullptr;
    searching = true;
  }
}

/// Returns as a searcher, or false when the pool has ended.
bool pool_core::sleep(seat& s, bool searching) {
  flush_remote_frees();
  const auto word = idle_.announce(s.index, searching);
  // Pushers onto their own deques pay for no fence, so they are made to execute one, if there are any.
  const bool alone = idle_.sleeping(word) + idle_.searching(word) == size();
  if (!(alone || asymmetric_fence::heavy()) || work_visible()) {
    if (wake_self(s)) return true;
  } else if (idle_.closing(word) && idle_.all_sleep(word) && try_terminate()) {
    return false;
  }
  return park(s);
}

/// For a worker that has announced its sleep and thinks better of it. False: somebody has picked it, or is about to, so
/// it has to take the wake-up that is on its way.
bool pool_core::wake_self(seat& s) {
  if (!idle_.reserve_any()) return false;
  const unsigned picked = idle_.pick(s.index);
  if (picked == s.index) return true;
  wake(picked);
  return false;
}

bool pool_core::park(seat& s) {
  s.counters.parked.add();
  s.sleep.park();
  return terminated_.load(std_sync::acquire) == 0;  // acquire: comes after all that the pool has done
}

/// For a worker that has just left the count of searchers, or joined that of sleepers.
bool pool_core::work_visible() const {
  std_sync::full_fence();  // pairs with the pushers'; the loads of the outside queue are not ours to order
  if (outside_.size_approx() != 0) return true;
  for (const auto& s : seats_) {
    if (s->deque.maybe_nonempty()) return true;
  }
  return false;
}

/// Runs a task from a queue, whose reference goes with it. The seat may be another thread's afterwards.
void pool_core::execute(seat& s, state* task) {
  if (options_.max_pending != 0) left_queue();
  if (cancel_pending_.load(std_sync::relaxed)) {  // relaxed: at most one more task starts
    cancel(task);
    return release_reference(task);
  }
  // acquire: nobody else has it, and what they did with it is done. Then no one can cancel, claim or add a callback.
  const bool sole = task->refs.load(std_sync::acquire) == 1;
  const bool untouched = sole && task->word.load() == 0;
  if (!untouched && !task->word.try_start()) return release_reference(task);  // cancelled, or run by who waited for it
  if (task->submitted_at != 0) s.counters.queue_delay[delay_bucket(task->submitted_at)].add();
  s.counters.run.add();
  const status outcome = task->ops->run(task);
  if (!untouched) {
    complete(task, outcome);
    return release_reference(task);
  }
  task->word.set_unshared(outcome);
  if (outcome == status::error && task->ops->detached) report(static_cast<value_state<void>*>(task)->error);
  task->ops->destroy(task);
}

void pool_core::run_claimed(state* task) {
  const fresh_dispatch own_callbacks;
  if (seat* const s = own_seat()) s->counters.run.add();
  complete(task, task->ops->run(task));
}

}  // namespace remuda::detail
