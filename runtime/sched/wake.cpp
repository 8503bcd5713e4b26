// Waking a sleeper, and finding out that all of them sleep for good.
#include <sched.h>

#include "runtime/os/futex.hpp"
#include "runtime/sched/pool_core.hpp"

namespace remuda::detail {

/// Wakes a sleeper, unless somebody searches already: the nearest to the worker `near`; for a thread that is none
/// (null) one that does not sit on the CPU that this thread is busy on.
void pool_core::wake_one(const seat* near) {
  if (!idle_.reserve()) return;
  unsigned picked = size();
  if (near != nullptr) {
    const unsigned rings = placement_.ring_count(near->index);
    for (unsigned r = 0; r < rings && picked == size(); ++r) {
      const auto ring = placement_.ring(near->index, r);
      for (std::size_t i = 0; i < ring.size(); ++i) {
        if (idle_.try_pick(ring[i])) {
          picked = ring[i];
          break;
        }
      }
    }
  }
  if (picked == size()) {
    int avoid = -1;
    const int here = near == nullptr ? ::sched_getcpu() : -1;
    for (const auto& s : seats_) {
      if (here >= 0 && s->cpu == here) avoid = static_cast<int>(s->index);
    }
    picked = idle_.pick(size(), avoid);
  }
  wake(picked);
}

void pool_core::wake(unsigned worker) {
  seats_[worker]->woken.fetch_add(1, std_sync::relaxed);  // relaxed: only counts
  seats_[worker]->sleep.unpark();
}

/// The rest of after_push(), once it has seen that somebody sleeps.
void pool_core::wake_after_push(const seat& s) {
  // A searcher that stops searching looks again without making others execute a fence, so this side needs a real one.
  std_sync::full_fence();
  if (idle_.wake_wanted(idle_.look())) wake_one(&s);
}

/// For a thread outside, after a push that found sleepers and no searcher: a worker that is just finishing a task takes
/// the new one within a fraction of the time that a system call takes, so it gets that fraction first.
void pool_core::wake_unless_taken() {
  constexpr int turns = 16;  // about 0.2 us
  for (int i = 0; i < turns; ++i) {
    std_sync::pause();
    if (outside_.size_approx() == 0 || !idle_.wake_wanted(idle_.look())) return;
  }
  wake_one(nullptr);
}

/// Makes some worker look again whether the pool has ended. If none sleeps, those who are awake will look.
void pool_core::wake_for_check() {
  if (idle_.reserve_any()) wake(idle_.pick(0));
}

/// Called by a worker that has announced its sleep, as the last one, after close(). True: the pool has ended.
///
/// It has when at one moment there was no outside work, no worker awake and no guest. Each deque is looked at by its
/// own worker, last of all, so a sleeping worker's is empty. The moment is the look at the word: outside work that was
/// taken before is with a worker who is awake, or was; guests who came or left around it show in the second reading of
/// guests_, which counts entries too. What is pushed later belongs to a submitter that sees close() after its push and
/// takes the mutex (schedule_late), and so finds out on which side of this check it came.
bool pool_core::try_terminate() {
  const std::lock_guard lock(mutex_);
  const auto guests = guests_.load(std_sync::acquire);
  if (guests % one_entry != 0 || outside_.size_approx() != 0) return false;
  std_sync::full_fence();  // whoever took outside work was woken before; the queue's loads are not ours to order
  if (!idle_.all_sleep(idle_.look()) || guests_.load(std_sync::acquire) != guests) return false;
  terminated_.store(1, std_sync::release);  // release: whoever sees it sees all that the pool has done
  os::futex_wake(&terminated_, os::futex_wake_all);
  for (pool_thread* spare : spares_) spare->mailbox.unpark();
  spares_.clear();
  seats_[0]->sleep.unpark();
  return true;
}

/// Workers wake each other to their end as a tree, two each, for one thread would take long to wake many.
void pool_core::wake_next_to_end(const seat* s) {
  for (std::size_t child = 2 * std::size_t{s->index} + 1; child <= 2 * std::size_t{s->index} + 2; ++child) {
    if (child < seats_.size()) seats_[child]->sleep.unpark();
  }
}

}  // namespace remuda::detail
