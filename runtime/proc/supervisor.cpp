// The pool's own thread: takes the results that nobody waits for, runs callbacks, minds deaths, time limits and output.
#include "runtime/proc/supervisor.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/lockfree/slab.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/sched/dispatch.hpp"

namespace remuda::detail {
namespace {

using std::chrono::steady_clock;

/// While it has results to take it looks at everything else so often.
constexpr unsigned turns_per_look = 64;
/// So many calls in a ring are a stream: results come closer together than this thread can be woken.
constexpr std::uint64_t stream = 32;
constexpr std::chrono::microseconds nap{50};
constexpr std::chrono::microseconds long_yield{1};
/// A callback that waits goes on with the pool's work in slices, for what it waits for may be somebody else's.
constexpr std::chrono::milliseconds slice{1};
constexpr std::chrono::microseconds share_again{100};
constexpr std::chrono::seconds patience{5};
/// Of a broken pool, with a zygote that does not tell that the workers are dead: somebody has stopped it.
constexpr std::chrono::seconds patience_with_dead{2};
constexpr std::chrono::hours longest_limit{24 * 365};  // so that adding it to a time does not overflow

void clear(int eventfd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = read(eventfd, &count, sizeof count);
}

}  // namespace

void process_core::kick() {
  kicks_.fetch_add(1, std_sync::relaxed);
  std_sync::full_fence();  // after whatever there is to see now; against the store in announce_sleep()
  if (!asleep_.load(std_sync::relaxed)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(kicked_.get(), &one, sizeof one);
}

void process_core::supervise() {
  serving = this;
  os::set_thread_name(options_.name + "/super");
  const auto keep = shared_from_this();
  while (!finished()) {
    try {
      turn({}, true);
    } catch (const std::exception& e) {  // no memory, no descriptors
      break_pool(std::string("the pool's own thread cannot go on: ") + e.what(), std::current_exception());
    }
  }
  end_workers();
  serving = nullptr;
  ended_.store(1, std_sync::release);  // release: all that the pool has done
  os::futex_wake(&ended_, os::futex_wake_all);
}

void process_core::serve(const deadline& until) {
  const auto end = steady_clock::now() + slice;
  turn(until ? std::min(*until, end) : end, true);
}

/// One look at everything; sleeps where there is nothing, at most until the deadline.
void process_core::turn(const deadline& until, bool may_sleep) {
  kicks_seen_ = kicks_.load(std_sync::acquire);  // acquire: what they are about
  const bool received_some = receive_all();
  if (finish_handed_over() || received_some) {
    last_found_ = steady_clock::now();
    if (++turns_ % turns_per_look != 0) return;
    std::this_thread::yield();
    crowded_ = steady_clock::now() - last_found_ > long_yield;
    may_sleep = may_sleep && crowded_;
  }
  if (const auto signal = end_signal_.load(std_sync::acquire); signal != 0 && !broken_.load(std_sync::relaxed)) {
    break_pool(signal == SIGKILL ? "the pool was killed" : "the pool was terminated");
  }
  if (broken_.load(std_sync::acquire)) end_broken();
  if (cancel_pending_.load(std_sync::relaxed) && !std::exchange(cancel_seen_, true)) cancel_all_pending();
  // Cleared first: who sets it while we look kicks.
  if (unfair_.load(std_sync::relaxed) && unfair_.exchange(false, std_sync::acq_rel) && share_out()) {
    unfair_.store(true, std_sync::relaxed);
  }
  drain_pending();
  check_times();
  audit();
  // Where others want the CPU, the worker or a thread that takes the results itself, this one leaves it to them for
  // a while. Were the bells set, the worker would ring at its next result.
  const bool streams = may_sleep && results_stream();
  if (may_sleep && !(streams && crowded_) && in_flight()) {
    // Results may come soon; a worker need not ring for them while we look. Somebody else may take them, and a process
    // may die instead: nobody spins for ever here, however patient the policy is.
    const nanoseconds budget = budget_.next();
    spinner spin(std::min<nanoseconds>(budget, slice));
    while (spin.turn()) {
      if (receive_all()) {
        budget_.observed(steady_clock::now() - last_found_);
        last_found_ = steady_clock::now();
        return;
      }
      if (kicks_.load(std_sync::relaxed) != kicks_seen_) return;  // relaxed: the next turn acquires what they are about
    }
    crowded_ = spin.contended();
    if (budget == always_spin) return wait_for_events(until, rest::none);
  }
  wait_for_events(until, !may_sleep ? rest::none : streams && crowded_ ? rest::nap : rest::sleep);
}

/// Whether results stream in: many calls are in a ring, and some were answered since this thread last asked.
bool process_core::results_stream() {
  std::uint64_t received = 0;
  bool many = false;
  for (const auto& l : lanes_) {
    received += l->run.load(std_sync::relaxed);
    many = many || l->ring.in_flight() >= stream;
  }
  return std::exchange(seen_received_, received) != received && many;
}

bool process_core::receive_all() {
  std::size_t n = 0;
  for (const auto& l : lanes_) n += receive(*l, nullptr);
  return n != 0;
}

bool process_core::in_flight() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& l) { return l->ring.in_flight() != 0; });
}

/// From here on threads of this process kick, and workers ring where it is no nap.
void process_core::announce_sleep(rest how) {
  flush_remote_frees();
  asleep_.store(true, std_sync::relaxed);
  unwatched_.store(!watching_, std_sync::relaxed);
  std_sync::full_fence();  // the looks that follow come after it; pairs with kick() and tell()
  if (how == rest::nap) return;
  for (const auto& l : lanes_) l->memory.header().supervisor.announce(1);
}

/// Something to do has come up before the bells were set.
bool process_core::something_to_do(rest how) {
  if (kicks_.load(std_sync::relaxed) != kicks_seen_) return true;
  if (end_signal_.load(std_sync::relaxed) != 0 && !broken_seen_) return true;
  if (broken_.load(std_sync::relaxed) && !broken_seen_) return true;
  if (cancel_pending_.load(std_sync::relaxed) && !cancel_seen_) return true;
  if (closed_.load(std_sync::relaxed) && drained()) return true;
  const auto answered = [](const auto& l) { return l->ring.look() != call_look::nothing; };
  if (how != rest::nap && std::any_of(lanes_.begin(), lanes_.end(), answered)) {
    return true;
  }
  const std::lock_guard lock(mutex_);
  return !handed_over_.empty();
}

void process_core::wait_for_events(const deadline& until, rest how) {
  std::array<epoll_event, 64> events;
  int count = 0;
  if (how == rest::none) {
    count = epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()), 0);
  } else {
    announce_sleep(how);
    time_point wake = next_look();
    if (how == rest::nap) wake = std::min(wake, steady_clock::now() + nap);
    if (until) wake = std::min(wake, *until);
    if (something_to_do(how)) {
      // All the same: what there is to do may be a corrupt word, and that ends with an event.
      count = epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()), 0);
    } else {
      timespec limit{};
      if (wake != time_point::max()) {
        const auto left = std::max<nanoseconds>(wake - steady_clock::now(), nanoseconds(0));
        limit.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
        limit.tv_nsec = (left % std::chrono::seconds(1)).count();
      }
      const timespec* const at_most = wake == time_point::max() ? nullptr : &limit;
      count = epoll_pwait2(events_.get(), events.data(), static_cast<int>(events.size()), at_most, nullptr);
      // Before Linux 5.11, or where a container's filter does not know the call: milliseconds.
      if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
        const int ms = at_most == nullptr
                           ? -1
                           : static_cast<int>(std::min<long>(limit.tv_sec, 1000) * 1000 + limit.tv_nsec / 1000000 + 1);
        count = epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()), ms);
      }
    }
    asleep_.store(false, std_sync::relaxed);
    for (const auto& l : lanes_) {
      if (l->memory.header().supervisor.seems_set()) l->memory.header().supervisor.withdraw(1);
    }
  }
  for (int i = 0; i < count; ++i) handle_event(events[static_cast<std::size_t>(i)].data.u64);
}

void process_core::handle_event(std::uint64_t tag) {
  lane& l = *lanes_[lane_of(tag)];
  switch (what_of(tag)) {
    case watched::kick:
      clear(kicked_.get());
      break;
    case watched::bell:
      break;  // watched for edges and never read: the worker could make a read wait
    case watched::out:
    case watched::err:
      read_output(l, false);
      break;
    case watched::zygote:
      handle_zygote();
      break;
  }
}

void process_core::handle_zygote() {
  while (zygote_ != nullptr) {
    auto event = zygote_->receive();
    if (!event) return;
    if (event->what == zygote::event::zygote_died) return zygote_gone();
    if (event->lane >= lanes_.size()) continue;
    lane& l = *lanes_[event->lane];
    switch (event->what) {
      case zygote::event::spawned:
        if (begin(l, *event)) break;
        return zygote_gone();
      case zygote::event::spawn_failed:
        not_spawned(event->status);
        worker_gone(l, 0);
        break;
      default:
        if (l.pid == event->pid) worker_gone(l, event->status);
        break;
    }
  }
}

/// Ends tasks whose time is over.
///
/// A task begins after the last look at which it had not, so the next look is due after its whole limit at the latest.
void process_core::check_times() {
  const auto now = steady_clock::now();
  next_time_ = time_point::max();
  if (now >= kill_at_) {
    kill_at_ = time_point::max();
    given_up_at_ = now + patience_with_dead;
    for (const auto& l : lanes_) {
      const std::lock_guard lock(l->sending);
      if (l->pidfd) os::send_signal(l->pidfd.get(), SIGKILL);
    }
  }
  if (now >= given_up_at_) {
    given_up_at_ = time_point::max();
    const auto is_left = [](const auto& l) { return l->current_phase() != lane_phase::empty; };
    if (std::any_of(lanes_.begin(), lanes_.end(), is_left)) zygote_gone();
  }
  for (const auto& l : lanes_) check_times(*l, now);
}

void process_core::check_times(lane& l, time_point now) {
  state* late = nullptr;
  bool spared = false;
  {
    const std::lock_guard lock(l.sending);
    // relaxed: under the lock
    if (!l.timed.load(std_sync::relaxed) || l.phase != lane_phase::open) return;
    if (l.ring.in_flight() == 0) l.timed.store(false, std_sync::relaxed);
    // Of those in the ring the first with a limit counts: the others begin after it.
    bool oldest = true;
    for (std::uint64_t p = l.ring.tail(); p < l.ring.head(); ++p) {
      if (l.task_at(p).load(std_sync::relaxed) == nullptr) continue;
      const nanoseconds limit = l.limit_at(p);
      if (limit.count() <= 0) {
        oldest = false;
        continue;
      }
      const volatile call_slot& slot = l.ring.at(p);
      const std::int64_t said = slot.started_at;  // the worker's word: it can shorten the limit of its own task
      const time_point started{nanoseconds(said)};
      const bool running = l.ring.state_at(p) == slot_state::taken && said > 0 && started <= now;
      const nanoseconds at_most = std::min<nanoseconds>(limit, longest_limit);
      time_point due = (running ? started : now) + at_most;
      // But not put it off: nothing is before the oldest, so it has begun, or will in a moment.
      if (!oldest) {
        l.timed_front.reset();
      } else if (!l.timed_front || l.timed_front->first != p) {
        l.timed_front.emplace(p, now);
      } else {
        due = std::min(due, l.timed_front->second + at_most + patience);
      }
      if (due <= now) {
        spared = true;
        if (spare_those_behind(l, p)) late = l.take_task(p);
        if (late != nullptr) {
          hold_buffers(l, late);
          doom(l);
        }
      } else {
        next_time_ = std::min(next_time_, due);
      }
      break;
    }
  }
  if (!spared) return;
  const guest_visit visit(*this);
  const callbacks_at_end later;  // those of what cannot be sent elsewhere may wait for the late one, too
  send_elsewhere();
  if (late == nullptr) return;
  timed_out_.fetch_add(1, std_sync::relaxed);
  end_task(late, fail(late, std::make_exception_ptr(
                                timeout_error("the task ran longer than its time limit; its worker was replaced"))));
}

process_core::time_point process_core::next_look() const {
  time_point at = std::min({next_time_, kill_at_, given_up_at_});
  if (watching_) at = std::min(at, next_audit_);
  if (unfair_.load(std_sync::relaxed)) at = std::min(at, steady_clock::now() + share_again);
  return at;
}

/// The pool is closed, and nothing is left to do but to end the workers. Supervisor, outside of callbacks.
bool process_core::drained() const {
  if (!closed_.load(std_sync::acquire)) return false;
  const std::uint64_t visits = visits_.load(std_sync::acquire);  // acquire: what the guests did
  if (visits % one_entry != 0) return false;
  {
    const std::lock_guard lock(mutex_);
    if (!pending_.empty() || !handed_over_.empty()) return false;
  }
  for (const auto& l : lanes_) {
    if (l->receiving.load(std_sync::acquire)) return false;
    if (l->current_phase() == lane_phase::ending) return false;  // its tasks are dealt with when it is gone
    for (std::uint64_t p = l->ring.tail(); p < l->ring.head(); ++p) {
      if (l->task_at(p).load(std_sync::acquire) != nullptr) return false;
    }
  }
  return visits_.load(std_sync::acquire) == visits;  // nobody came and went meanwhile with a task in hand
}

/// Drained, and nothing is queued from here on: what hooks submit while the workers end would never run.
bool process_core::finished() {
  if (!drained()) return false;
  const std::lock_guard lock(mutex_);
  finished_ = pending_.empty();
  return finished_;
}

void process_core::end_workers() {
  ending_workers_ = true;
  cancel_pending_.store(true, std_sync::relaxed);  // also what a callback elsewhere was still in time to send
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
    if (l->phase == lane_phase::empty) continue;
    l->phase = lane_phase::ending;
    l->open.store(false, std_sync::relaxed);
    segment_header& header = l->memory.header();
    header.quit.store(1, std_sync::release);  // release: nothing comes after it
    if (header.worker.ring() != 0) os::futex_wake_shared(header.worker.address(), os::futex_wake_all);
  }
  const auto gone = [this] {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const auto& l) { return l->current_phase() == lane_phase::empty; });
  };
  const auto start = steady_clock::now();
  bool killed = false;
  while (!gone() && zygote_ != nullptr) {
    if (steady_clock::now() > start + patience && !std::exchange(killed, true)) {
      for (const auto& l : lanes_) {
        const std::lock_guard lock(l->sending);
        if (l->pidfd) os::send_signal(l->pidfd.get(), SIGKILL);
      }
    }
    if (steady_clock::now() > start + 2 * patience) zygote_.reset();  // it takes all its workers along
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      try {
        handle_event(events[static_cast<std::size_t>(i)].data.u64);
      } catch (const std::exception&) {
        // No memory, no descriptors: then patience ends, and the zygote takes its workers along.
      }
    }
  }
  zygote_.reset();
  for (const auto& l : lanes_) {
    if (l->current_phase() != lane_phase::empty) worker_gone(*l, SIGKILL);
    forget(*l);
  }
}

}  // namespace remuda::detail
