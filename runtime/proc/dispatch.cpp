// Which worker gets a task, and how it is sent there.
#include "runtime/sched/dispatch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/proc/code_ref.hpp"
#include "runtime/proc/process_core.hpp"

namespace remuda::detail {
namespace {

/// So many cost one lock and one look at whether the worker sleeps.
constexpr std::size_t most_sent_at_once = 32;

}  // namespace

void process_core::dispatch(state* task) {
  if (pending_count_.load(std_sync::relaxed) == 0) {  // relaxed: who comes late queues behind the others
    for (unsigned tries = 0; tries < 2; ++tries) {
      lane* const l = choose();
      if (l == nullptr) break;
      switch (send(*l, task)) {
        case sent::yes:
          return;
        case sent::gone:
          cancel_unsent(task);
          left_queue();
          throw_refusal();
        case sent::no_room:
          break;
      }
    }
  }
  if (!put_pending(task)) {
    cancel_unsent(task);
    left_queue();
    throw_refusal();
  }
  // A receiver that makes room looks for pending tasks after a fence, and we for room after this one.
  std_sync::full_fence();
  drain_pending();
}

/// A worker without work, the last one used first, for it is awake; else the less loaded of two; null when no worker
/// has room.
lane* process_core::choose() {
  const std::uint32_t n = size();
  const std::uint32_t start = next_lane_.load(std_sync::relaxed) % n;  // relaxed, here and below: hints
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t k = start + i < n ? start + i : start + i - n;
    if (busy_[k].load(std_sync::relaxed) == 0 && lanes_[k]->open.load(std_sync::relaxed)) {
      if (i != 0) next_lane_.store(k, std_sync::relaxed);
      return lanes_[k].get();
    }
  }
  next_lane_.store(start + 1, std_sync::relaxed);
  lane* best = nullptr;
  std::uint64_t least = 0;
  for (std::uint32_t i = 1, looked_at = 0; i <= n && looked_at < 2; ++i) {
    lane& l = *lanes_[(start + i) % n];
    const std::uint64_t load = l.ring.in_flight();
    if (!l.open.load(std_sync::relaxed) || load >= l.ring.capacity()) continue;
    ++looked_at;
    if (best == nullptr || load < least) {
      best = &l;
      least = load;
    }
  }
  return best;
}

/// The worker has something in its ring, and the supervisor somebody to watch.
void process_core::tell(lane& l) {
  segment_header& header = l.memory.header();
  if (header.worker.ring() != 0) os::futex_wake_shared(header.worker.address(), os::futex_wake_all);
  // After the fence in ring(), against the one in announce_sleep().
  if (unwatched_.load(std_sync::relaxed) && unwatched_.exchange(false, std_sync::relaxed)) kick();
}

process_core::sent process_core::send(lane& l, state* task) {
  bool kicks = false;
  bool behind = false;
  bool told = false;
  attempt tried;
  {
    const std::lock_guard lock(l.sending);
    if (refused()) return sent::gone;
    if (l.phase != lane_phase::open || l.ring.full()) return sent::no_room;
    const std::uint64_t head = l.ring.head();
    remote_part& part = *task->ops->remote(task);
    kicks = part.timeout.count() > 0;                             // the task may be gone once it is sent
    if (!part.started) task->word.set_unshared(status::running);  // nobody but the submitter knows the task
    part.started = true;
    tried = try_send(l, task, part);
    behind = l.ring.in_flight() > 1;
    told = l.ring.head() != head;
  }
  if (told) tell(l);
  if (!tried.room) return sent::no_room;
  if (tried.failure != nullptr) {
    const guest_visit visit(*this);
    give_up(task, tried.failure);
    return sent::yes;
  }
  if (kicks) kick();
  if (behind) look_for_idle();
  return sent::yes;
}

/// The oldest tasks in the queue, as many as this worker should have. REQUIRES: its `sending` is held until they are in
/// the ring or in the queue again: who wants to cancel one waits for that.
std::size_t process_core::take_waiting(const lane& l, std::span<state*> tasks) {
  const std::uint64_t in_ring = l.ring.in_flight();
  const std::lock_guard lock(mutex_);
  // Several at once to a worker that is busy, but to none more than its share.
  const std::size_t share = in_ring == 0 ? 1 : pending_.size() / size();
  const std::size_t room = l.ring.capacity() - std::min<std::size_t>(in_ring, l.ring.capacity());
  const std::size_t most = std::clamp<std::size_t>(std::min(share, room), 1, tasks.size());
  std::size_t count = 0;
  while (count < most && !pending_.empty()) {
    state* const task = tasks[count++] = dequeue();
    task->ops->remote(task)->place.store(remote_part::in_hand, std_sync::relaxed);  // relaxed: under the lock
  }
  return count;
}

/// Sends tasks that wait, oldest first, and gives up those that were cancelled meanwhile. False: some go on waiting,
/// for want of room; or all, as this worker takes none.
bool process_core::send_waiting(lane& l) {
  std::array<state*, most_sent_at_once> tasks;
  std::array<attempt, most_sent_at_once> tried;
  std::array<bool, most_sent_at_once> ours;
  std::size_t n = 0;
  bool all = false;
  bool kicks = false;
  bool behind = false;
  bool told = false;
  {
    const std::lock_guard lock(l.sending);
    // relaxed: a shutdown that cancels empties this ring under the lock, before or after
    if (l.phase != lane_phase::open || cancel_pending_.load(std_sync::relaxed)) return false;
    const std::uint64_t head = l.ring.head();
    std::size_t count = take_waiting(l, tasks);
    // First all locked instructions, then all slots: each of the former waits until what was written into the slots
    // before, whose cache lines the worker has, has arrived.
    for (std::size_t i = 0; i < count; ++i) {
      remote_part& part = *tasks[i]->ops->remote(tasks[i]);
      ours[i] = part.started = part.started || tasks[i]->word.try_start();  // else it was cancelled while it waited
    }
    for (; n < count; ++n) {
      remote_part& part = *tasks[n]->ops->remote(tasks[n]);
      if (!ours[n]) {
        part.place.store(remote_part::in_no_ring, std_sync::relaxed);
        continue;
      }
      if (l.ring.full()) break;
      kicks = kicks || part.timeout.count() > 0;
      tried[n] = try_send(l, tasks[n], part);
      if (!tried[n].room) break;
    }
    all = n == count;
    if (!all) {
      const std::lock_guard queue(mutex_);
      while (count > n) enqueue(tasks[--count], true);
    }
    behind = l.ring.in_flight() > 1;
    told = l.ring.head() != head;
  }
  if (told) tell(l);
  // With nothing in hand: the user's error hook may cancel what waits.
  for (std::size_t i = 0; i < n; ++i) {
    if (ours[i] && tried[i].failure == nullptr) continue;
    const guest_visit visit(*this);
    give_up(tasks[i], tried[i].failure);
  }
  if (kicks) kick();
  if (behind) look_for_idle();
  return all;
}

/// REQUIRES: `sending` is held, the ring is not full, the task is started.
process_core::attempt process_core::try_send(lane& l, state* task, remote_part& part) {
  attempt out;
  try {
    out.room = tell_modules(l) && write_call(l, task, part);
  } catch (...) {
    out.failure = std::current_exception();
    part.place.store(remote_part::in_no_ring, std_sync::relaxed);
  }
  return out;
}

/// After a task was sent behind others. Another worker may have run out of work meanwhile; it looked before this task
/// could be seen.
void process_core::look_for_idle() {
  if (size() == 1) return;
  std_sync::full_fence();
  for (std::uint32_t k = 0; k < size(); ++k) {
    if (busy_[k].load(std_sync::relaxed) != 0 || !lanes_[k]->open.load(std_sync::relaxed)) continue;
    if (!unfair_.exchange(true, std_sync::acq_rel)) kick();
    break;
  }
}

/// REQUIRES: `sending` is held, the ring is not full. False: the argument area has no room now. Throws what encoding
/// throws.
bool process_core::write_call(lane& l, state* task, remote_part& part) {
  l.arguments->free_before(l.ring.tail());
  l.arguments->trim();
  for (;;) {
    call_slot& slot = l.ring.next();
    task_buffers buffers(id_, part.given);
    part.given.reset();
    payload_writer out(
        slot.bytes, call_slot::inline_bytes, *l.arguments, [](void*) { throw no_room_now(); }, nullptr, &buffers);
    try {
      part.ops->encode(task, out);
    } catch (const no_room_now&) {
      return false;
    }
    if (modules_known() > l.modules_told) {  // an argument is a pointer to a function of a module named just now
      if (!tell_modules(l)) return false;
      continue;
    }
    const std::uint64_t position = l.ring.head();
    slot.kind = slot_kind::call;
    slot.id = part.id;
    slot.function = part.function;
    slot.size = out.size();
    slot.where = out.keep(position);
    slot.started_at = part.timeout.count() > 0 ? -1 : 0;
    l.limit_at(position) = part.timeout;
    if (part.timeout.count() > 0) l.timed.store(true, std_sync::relaxed);  // relaxed: published with the call
    l.task_at(position).store(task, std_sync::release);  // release: who takes it out sees the task as it is now
    part.place.store(l.place_of(position), std_sync::release);
    busy_[l.index].store(1, std_sync::relaxed);  // before the call can be answered; see receive()
    l.ring.publish();
    return true;
  }
}

/// Tells the worker of modules that it does not know. REQUIRES: `sending` is held, the ring is not full; true: it still
/// is not.
bool process_core::tell_modules(lane& l) {
  while (l.modules_told < modules_known()) {
    call_slot& slot = l.ring.next();
    const module_id module = module_of(l.modules_told);
    l.arguments->free_before(l.ring.tail());
    payload_writer out(
        slot.bytes, call_slot::inline_bytes, *l.arguments, [](void*) { throw no_room_now(); }, nullptr);
    try {
      wire_write(out, l.modules_told);
      wire_write(out, module.path);
      wire_write(out, module.build_id);
    } catch (const no_room_now&) {
      return false;
    }
    slot.kind = slot_kind::module;
    slot.id = 0;
    slot.function = 0;
    slot.size = out.size();
    slot.where = out.keep(l.ring.head());
    slot.started_at = 0;
    busy_[l.index].store(1, std_sync::relaxed);
    l.ring.publish();
    ++l.modules_told;
    if (l.ring.full()) return false;
  }
  return true;
}

/// What is submitted now comes too late. Callbacks may still submit while the pool ends, but not when it is broken.
bool process_core::refused() const {
  return closed_.load(std_sync::relaxed) && (broken_.load(std_sync::relaxed) || !inside());
}

/// A task that was submitted just now waits. False: the pool has closed.
bool process_core::put_pending(state* task) {
  // The lock that shutdown() takes after it has closed.
  const std::lock_guard lock(mutex_);
  if (refused() || finished_) return false;
  enqueue(task, false);
  return true;
}

/// Tasks taken out of a ring, oldest first, go to the front of the queue. REQUIRES: the lane's `sending` has been held
/// since they were taken: so who wants to cancel one finds it here or there. send_elsewhere() or end_pending() is to
/// follow.
void process_core::put_back(task_list& tasks) {
  const std::lock_guard lock(mutex_);
  while (state* const task = tasks.pop_back()) enqueue(task, true);
}

/// REQUIRES: `mutex_` is held.
void process_core::enqueue(state* task, bool in_front) {
  remote_part& part = *task->ops->remote(task);
  part.place.store(remote_part::in_no_ring, std_sync::relaxed);
  part.pending = true;
  if (in_front) {
    pending_.push_front(task);
  } else {
    pending_.push_back(task);
  }
  pending_count_.fetch_add(1, std_sync::relaxed);
}

/// Null when nothing waits. REQUIRES: `mutex_` is held.
state* process_core::dequeue() {
  state* const task = pending_.pop_front();
  if (task != nullptr) left_queue(task);
  return task;
}

/// REQUIRES: `mutex_` is held.
void process_core::left_queue(state* task) {
  task->ops->remote(task)->pending = false;
  pending_count_.fetch_sub(1, std_sync::relaxed);
}

/// Ends all that waits, where nothing is sent any more. False: the pool goes on.
bool process_core::end_pending() {
  const bool broken = broken_.load(std_sync::acquire);  // acquire: the reason
  if (!broken && !cancel_pending_.load(std_sync::relaxed)) return false;
  const std::exception_ptr error = broken ? broken_error() : nullptr;
  const guest_visit visit(*this);
  const callbacks_at_end later;
  for (;;) {  // one by one: the others can be found until it is their turn
    state* task = nullptr;
    {
      const std::lock_guard lock(mutex_);
      task = dequeue();
    }
    if (task == nullptr) return true;
    give_up(task, error);
  }
}

/// Sends what waits, as far as there is room.
void process_core::drain_pending() {
  for (;;) {
    if (pending_count_.load(std_sync::relaxed) == 0 || end_pending()) return;
    lane* const l = choose();
    if (l == nullptr) return;
    const guest_visit visit(*this);  // drained() could miss what moves
    const callbacks_at_end later;    // a callback of one may wait for another of those that we end
    const std::uint64_t tail = l->ring.tail();
    if (send_waiting(*l)) continue;
    std_sync::full_fence();  // who makes room looks for pending tasks after a fence, and found none while we had them
    if (end_pending() || (l->ring.tail() == tail && !somebody_is_idle())) return;
  }
}

}  // namespace remuda::detail
