// Taking tasks back: from a worker that is held up, for a cancellation, or before a worker is ended.
#include <algorithm>
#include <utility>

#include "runtime/proc/process_core.hpp"
#include "runtime/sched/dispatch.hpp"

namespace remuda::detail {
namespace {

/// In at most this time a worker should have got on; else what lies behind its task is given to others.
constexpr nanoseconds held_up{200'000};

}  // namespace

bool process_core::somebody_is_idle() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [this](const auto& l) {
    return l->open.load(std_sync::relaxed) && busy_[l->index].load(std_sync::relaxed) == 0;
  });
}

/// Tasks wait behind the oldest. What was taken back lies in the ring, too, until its worker comes that far.
bool process_core::has_tasks_behind(lane& l) {
  const std::uint64_t head = l.ring.head();
  const std::uint64_t tail = l.ring.tail();
  const std::uint64_t end = std::min(head, tail + l.ring.capacity());  // the ring may start over in between
  for (std::uint64_t p = tail + 1; p < end; ++p) {
    if (l.task_at(p).load(std_sync::relaxed) != nullptr) return true;  // relaxed: a hint
  }
  return false;
}

/// Some worker has nothing to do while tasks wait behind others.
bool process_core::queue_behind_work() const {
  return somebody_is_idle() && std::any_of(lanes_.begin(), lanes_.end(), [](const auto& l) {
           return l->open.load(std_sync::relaxed) && has_tasks_behind(*l);
         });
}

/// Supervisor: gives idle workers half of what lies behind a task that takes long. True: worth another look soon.
bool process_core::share_out() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_share_ < held_up) return true;
  last_share_ = now;
  bool again = false;
  for (const auto& victim : lanes_) {
    const std::uint64_t tail = victim->ring.tail();
    const bool stuck = std::exchange(victim->seen_tail, tail) == tail;
    if (!victim->open.load(std_sync::relaxed) || !has_tasks_behind(*victim)) continue;
    again = true;
    if (!stuck) continue;
    {
      const std::lock_guard lock(victim->sending);
      task_list spare;
      withdraw(*victim, victim->ring.tail(), (victim->ring.in_flight() + 1) / 2, spare);
      put_back(spare);
    }
    send_elsewhere();
  }
  return again && queue_behind_work();
}

/// Takes tasks that the worker has not begun back from it: oldest first, from this position on, at most so many.
/// REQUIRES: `sending` is held.
void process_core::withdraw(lane& l, std::uint64_t begin, std::size_t most, task_list& taken) {
  const std::uint64_t head = l.ring.head();
  for (std::uint64_t p = begin; p < head && most != 0; ++p) {
    // Not the modules' and the initializer's calls, which are nobody's tasks.
    if (l.task_at(p).load(std_sync::relaxed) == nullptr || !l.ring.withdraw(p)) continue;
    if (state* const task = l.take_task(p)) taken.push_back(task);
    --most;
  }
}

lane* process_core::lane_at(std::uint64_t place) const {
  const std::uint64_t number = place >> position_bits;
  return number == 0 ? nullptr : lanes_[number - 1].get();
}

/// A task that has not begun is in the queue or in a ring, but for moments in which somebody has it in hand and holds
/// the `sending` of a lane. The loop ends: each turn but the last has waited for somebody to put the task somewhere.
bool process_core::take_back(state* s, bool force) {
  for (;;) {
    // acquire: pairs with the store in write_call
    const std::uint64_t place = s->ops->remote(s)->place.load(std_sync::acquire);
    lane* const l = lane_at(place);
    const take is = l != nullptr ? take_from_ring(*l, place, s, force) : take_from_queue(s);
    if (is != take::moved) return is == take::done;
  }
}

process_core::take process_core::take_from_queue(state* s) {
  remote_part& part = *s->ops->remote(s);
  bool found = false;
  std::uint64_t place = 0;
  {
    const std::lock_guard lock(mutex_);
    found = part.pending;
    place = part.place.load(std_sync::relaxed);  // relaxed: the lock, under which tasks come into hands
    if (found) {
      pending_.erase(s);
      left_queue(s);
    }
  }
  if (found) {
    s->ops->discard(s);
    end_task(s, status::cancelled);
    return take::done;
  }
  if (place == remote_part::in_no_ring) return take::not_there;  // somebody ends it
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
  }
  return take::moved;
}

process_core::take process_core::take_from_ring(lane& l, std::uint64_t place, state* s, bool force) {
  bool ours = false;
  bool spared = false;
  {
    const std::lock_guard lock(l.sending);
    if (s->ops->remote(s)->place.load(std_sync::relaxed) != place) return take::moved;
    const std::uint64_t position = place & position_mask;
    if (position < l.ring.tail() || l.task_at(position).load(std_sync::relaxed) != s) return take::not_there;
    if (l.ring.withdraw(position)) {
      ours = l.take_task(position) == s;
    } else if (force && l.phase == lane_phase::open) {
      spared = true;
      if (spare_those_behind(l, position)) ours = l.take_task(position) == s;
      if (ours) {
        hold_buffers(l, s);
        doom(l);
      }
    }
  }
  const callbacks_at_end later;  // those of what cannot be sent elsewhere may wait for this one, too
  if (spared) send_elsewhere();
  if (!ours) return take::not_there;
  s->ops->discard(s);
  end_task(s, status::cancelled);
  return take::done;
}

/// Before the process that runs the call at `position` is killed for it: takes back what lies behind, so that nothing
/// else can have begun. False: the call has ended meanwhile, so there is no reason to kill. REQUIRES: `sending` is
/// held; send_elsewhere() is to follow.
bool process_core::spare_those_behind(lane& l, std::uint64_t position) {
  task_list behind;
  withdraw(l, position + 1, l.ring.capacity(), behind);
  put_back(behind);
  // Not "taken": that is the worker's to say, and one that takes its claim back is to be killed all the same.
  return position >= l.ring.tail() && l.ring.state_at(position) != slot_state::done;
}

/// Tasks were put back, and no lock is held: others may have room for them.
void process_core::send_elsewhere() {
  std_sync::full_fence();
  drain_pending();
}

bool process_core::begun(const state* s) const {
  // The reference is the caller's; the task does not change by being asked.
  remote_part& part = *s->ops->remote(const_cast<state*>(s));
  for (;;) {
    const std::uint64_t place = part.place.load(std_sync::acquire);
    lane* const l = lane_at(place);
    if (l == nullptr) return false;
    const std::lock_guard lock(l->sending);
    if (part.place.load(std_sync::relaxed) != place) continue;  // it was taken back
    const std::uint64_t position = place & position_mask;
    return position < l->ring.tail() || l->ring.state_at(position) != slot_state::ready;
  }
}

/// What the worker has not begun waits in the queue again. REQUIRES: `sending` is held; end_pending() is to follow.
void process_core::put_back_all(lane& l) {
  task_list tasks;
  withdraw(l, l.ring.tail(), l.ring.capacity(), tasks);
  put_back(tasks);
}

/// Cancels what has not started, as `cancel_pending_` demands. Supervisor.
void process_core::cancel_all_pending() {
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
    put_back_all(*l);
  }
  end_pending();
}

}  // namespace remuda::detail
