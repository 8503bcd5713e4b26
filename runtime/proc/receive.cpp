// Results out of the rings. Any thread of the parent may take them: the pool's own, or one that waits for one of them.
//
// The worker's side of the memory is not trusted: each field is read once into a private copy, checked, and then used.
#include <mutex>
#include <new>
#include <utility>

#include "remuda/detail/remote_exception.hpp"
#include "remuda/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/wait.hpp"

namespace remuda::detail {
namespace {

constexpr std::size_t most_at_once = 32;
constexpr unsigned most_empty_looks = 1000;

/// A thread that waits for a task this near to the ring's front takes its result itself; for one farther back the
/// pool's own thread does, lest every result on the way wakes it.
constexpr std::uint64_t near = 4;

/// A private copy of what the worker said.
struct answer {
  slot_kind kind;
  std::uint64_t id;
  std::uint64_t where;
  std::uint64_t size;

  explicit answer(const call_slot& slot) {
    const volatile call_slot& once = slot;  // one load each
    kind = once.kind;
    id = once.id;
    where = once.where;
    size = once.size;
  }

  /// Whether the payload lies where a payload may lie.
  bool in_bounds(const segment_layout& layout) const {
    if (where == 0) return size <= call_slot::inline_bytes;
    return where >= layout.results && where <= layout.total && size <= layout.total - where;
  }
  wire_reader reader(const lane& l, const call_slot& slot, buffer_port* buffers) const {
    return {where == 0 ? slot.bytes : l.memory.base() + where, size, buffers};
  }
};

/// The worker may pass a withdrawn call before its task is out of the lane's table. It is out when `sending` is let go
/// by whoever withdrew it; after that, a call that was passed and has a task still is one that the worker was to run.
void wait_for_withdrawer(lane& l, const call_slot& slot) {
  const volatile slot_kind& once = slot.kind;
  if (once == slot_kind::skipped && l.task_at(l.ring.tail()).load(std_sync::relaxed) != nullptr) {
    const std::lock_guard lock(l.sending);
  }
}

std::exception_ptr garbage() {
  return std::make_exception_ptr(serialization_error("the worker answered with something that is no answer"));
}

}  // namespace

std::size_t process_core::receive(lane& l, const state* awaited) {
  std::size_t total = 0;
  unsigned looks = 0;
  while (l.ring.look() != call_look::nothing) {
    // acquire: comes after the last receiver; release: see below
    if (l.receiving.exchange(true, std_sync::acq_rel)) return total;
    const guest_visit visit(*this);
    received tasks[most_at_once];
    std::size_t count = 0;
    std::size_t answers = 0;
    bool corrupt = false;
    for (; answers < most_at_once; ++answers) {
      const auto look = l.ring.look();
      if (look != call_look::done) {
        corrupt = corrupt || look == call_look::corrupt;
        break;
      }
      const call_slot& slot = l.ring.front();
      wait_for_withdrawer(l, slot);
      if (state* const task = l.take_task(l.ring.tail())) {
        const auto outcome = read_result(l, slot, task);
        corrupt = corrupt || !outcome;
        tasks[count++] = {task, outcome ? *outcome : fail(task, garbage())};
      } else if (l.ring.tail() == 0) {
        first_result(l, slot);
      }
      l.ring.release();
    }
    if (answers != 0) {
      l.run.store(l.run.load(std_sync::relaxed) + count, std_sync::relaxed);  // relaxed: a count of the receiver's
      segment_header& header = l.memory.header();
      header.received.store(l.ring.tail(), std_sync::release);  // release: we have read the results
      if (header.room.ring() != 0) os::futex_wake_shared(header.room.address(), os::futex_wake_all);
      if (l.ring.in_flight() == 0) {
        busy_[l.index].store(0, std_sync::relaxed);
        std_sync::full_fence();  // a sender marks the lane busy before it counts the ring's head up
        if (l.ring.in_flight() != 0) busy_[l.index].store(1, std_sync::relaxed);
      }
    }
    // Before the flag goes: only then is the death of this worker counted, which comes after what it has finished.
    if (count != 0 && deaths_in_a_row_.load(std_sync::relaxed) != 0) deaths_in_a_row_.store(0, std_sync::relaxed);
    // While nobody can put another process into the lane, which callbacks below may wait for.
    if (corrupt) condemn(l);
    // acq_rel: a thread that found somebody receiving went to sleep on the word of our next look, so that look has to
    // come after what that thread has seen.
    l.receiving.exchange(false, std_sync::acq_rel);
    std_sync::full_fence();
    // The next one begins, perhaps with a shorter time limit than the one whose end the pool's own thread looks out
    // for.
    if (count != 0 && serving != this && l.timed.load(std_sync::relaxed) && l.ring.in_flight() != 0) kick();
    {
      // A callback of one may wait for another: all are completed before the first callback runs.
      const callbacks_at_end later;
      for (std::size_t i = 0; i < count; ++i) {
        const bool callbacks = completion_word::list_of(tasks[i].task->word.load()) != nullptr;
        if (serving == this || tasks[i].task == awaited || !callbacks) {
          end_task(tasks[i].task, tasks[i].outcome);
        } else {
          hand_over(tasks[i]);
        }
      }
    }
    if (corrupt) return total + answers;
    if (pending_count_.load(std_sync::relaxed) != 0) {
      drain_pending();
    } else if (busy_[l.index].load(std_sync::relaxed) == 0 && !unfair_.load(std_sync::relaxed) && queue_behind_work()) {
      unfair_.store(true, std_sync::release);
      kick();
    }
    total += answers;
    // Another one took it. What was refused to threads meanwhile is for us to find, so there is one look more; but a
    // worker that writes now this word and now that holds nobody for ever.
    if (answers == 0 && ++looks == most_empty_looks) return total;
  }
  return total;
}

/// Stores the task's outcome; nothing when the worker wrote garbage.
std::optional<status> process_core::read_result(lane& l, const call_slot& slot, state* task) {
  remote_part& part = *task->ops->remote(task);
  const answer got(slot);
  if (got.id != part.id || !got.in_bounds(l.memory.layout())) return std::nullopt;
  auto given = std::move(part.given);  // the closure goes before the result comes
  task_buffers buffers(id_, given);
  wire_reader in = got.reader(l, slot, &buffers);
  switch (got.kind) {
    case slot_kind::value: {
      task->ops->discard(task);
      return part.ops->decode(task, in);
    }
    case slot_kind::error: {
      std::exception_ptr error;
      try {
        error = read_exception(in);
      } catch (...) {
        error = std::current_exception();
      }
      return fail(task, error != nullptr ? error : garbage());
    }
    default:
      return std::nullopt;
  }
}

/// What the initializer said.
void process_core::first_result(lane& l, const call_slot& slot) {
  const answer got(slot);
  if (got.kind == slot_kind::value) return open_lane(l);
  std::exception_ptr error = garbage();
  if (got.kind == slot_kind::error && got.in_bounds(l.memory.layout())) {
    wire_reader in = got.reader(l, slot, nullptr);
    try {
      error = read_exception(in);
    } catch (...) {
      error = std::current_exception();
    }
  }
  {
    const std::lock_guard lock(mutex_);
    if (starting_ != 0 && start_error_ == nullptr) {
      start_error_ = error;
      changed_.notify_all();
    }
  }
  break_pool("the pool's initializer failed in a worker", error);
}

/// Destroys the closure and stores the error. REQUIRES: the pool has started the task.
status process_core::fail(state* task, std::exception_ptr error) {
  task->ops->discard(task);
  return task->ops->remote(task)->ops->fail(task, std::move(error));
}

void process_core::end_task(state* task, status outcome) {
  complete(task, outcome);
  if (outcome == status::error && task->ops->detached) report(static_cast<value_state<void>*>(task)->error);
  left_queue();
  release_reference(task);
}

/// A task that no worker has begun: ends it with this error, or as cancelled where there is none.
void process_core::give_up(state* task, std::exception_ptr error) {
  remote_part& part = *task->ops->remote(task);
  if (!part.started && !task->word.try_start()) {  // cancelled before
    left_queue();
    return release_reference(task);
  }
  part.started = true;
  if (error != nullptr) return end_task(task, fail(task, std::move(error)));
  task->ops->discard(task);
  end_task(task, status::cancelled);
}

/// Callbacks run on the pool's own thread, not on one that waits for something else.
void process_core::hand_over(const received& r) {
  try {
    const std::lock_guard lock(mutex_);
    handed_over_.push_back(r);
  } catch (const std::bad_alloc&) {  // better on the wrong thread than never
    return end_task(r.task, r.outcome);
  }
  kick();
}

bool process_core::finish_handed_over() {
  std::vector<received> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(handed_over_);
  }
  if (tasks.empty()) return false;
  const guest_visit visit(*this);
  const callbacks_at_end later;
  for (const received& r : tasks) end_task(r.task, r.outcome);
  return true;
}

void process_core::poll(state* s) {
  // acquire: the lane's ring as sent to
  if (lane* const l = lane_at(s->ops->remote(s)->place.load(std_sync::acquire))) receive(*l, s);
}

void process_core::sleep(state* s, std::uint32_t word, const deadline& until) {
  const std::uint64_t place = s->ops->remote(s)->place.load(std_sync::acquire);
  if (lane* const its_lane = lane_at(place)) {
    lane& l = *its_lane;
    const std::uint64_t position = place & position_mask;
    const std::uint64_t tail = l.ring.tail();
    if (position >= tail && position - tail < near) {
      doorbell<std_sync>& bell = l.memory.header().getters;
      // All getters share the bit. One that falls asleep though its bit was taken, because another has set it again, is
      // woken by that other: it looks after it has announced itself, and so finds the result that the bit was taken
      // for.
      const std::uint32_t bell_word = bell.announce(1);
      receive(l, s);
      const bool slept = is_final(s->word.current()) || os::futex_wait_either(s->word.address(), word, bell.address(),
                                                                              bell_word, until ? &*until : nullptr);
      receive(l, s);  // whoever took the bit relies on it, also if this thread was woken by something else
      if (slept) return;
    }
  }
  sleep_on(s->word.address(), word, until);
}

}  // namespace remuda::detail
