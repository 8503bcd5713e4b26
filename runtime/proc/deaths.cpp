// A worker is gone: what it leaves behind, and who takes its place. CRASH.md tells why nothing is lost. All of the
// supervisor, except where it says otherwise.
#include <signal.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/sched/dispatch.hpp"

namespace remuda::detail {
namespace {

/// A task that was next when so many workers died had begun, whatever they wrote: else it could kill workers for ever.
constexpr std::uint32_t most_bad_luck = 8;

constexpr std::chrono::seconds grace{2};  // between SIGTERM and SIGKILL

std::exception_ptr broken_because(const std::string& why, const std::exception_ptr& cause) {
  try {
    if (cause == nullptr) throw broken_pool_error(why);
    try {
      std::rethrow_exception(cause);
    } catch (...) {
      std::throw_with_nested(broken_pool_error(why));
    }
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

/// Any thread: the process misbehaves or is in the way. Its end is seen to when it comes.
void process_core::condemn(lane& l) {
  const std::lock_guard lock(l.sending);
  if (l.phase == lane_phase::open || l.phase == lane_phase::starting) doom(l);
}

/// Any thread. REQUIRES: `sending` is held.
void process_core::doom(lane& l) {
  l.phase = lane_phase::ending;
  l.open.store(false, std_sync::relaxed);
  l.doomed = true;
  if (l.pidfd) os::send_signal(l.pidfd.get(), SIGKILL);
}

/// Any thread. The task will end now, though the lane's process still runs it: what that one writes to it may not be
/// somebody else's before it is gone. REQUIRES: `sending` is held, the task was taken out of the lane's table.
void process_core::hold_buffers(lane& l, state* task) { l.held = std::move(task->ops->remote(task)->given); }

/// The lane's process is gone, with this wait status.
void process_core::worker_gone(lane& l, int status) {
  const guest_visit visit(*this);
  const callbacks_at_end later;  // when the lane is in order again, for they may wait for what it does next
  clear_away(l, status, false);
  replace(l);
  put_lines(l);  // to the user's function, which may wait for what the next process does
}

/// Deals with all that the lane's process has left behind. One that died with its zygote is not counted in a row.
void process_core::clear_away(lane& l, int status, bool with_zygote) {
  read_output(l, true);
  // What it has answered counts. Then nobody else receives; but who did so meanwhile may have been refused its next
  // look by us, and have left something behind.
  for (;;) {
    receive(l, nullptr);
    while (l.receiving.exchange(true, std_sync::acq_rel)) std::this_thread::yield();
    if (l.ring.look() != call_look::done) break;
    l.receiving.store(false, std_sync::release);
  }

  state* running = nullptr;
  bool at_start = false;
  bool again = false;
  bool too_many = false;
  std::uint64_t in_a_row = 0;
  unsigned failed_starts = 0;
  std::unique_ptr<given_blocks> held;  // ends outside of the lock
  {
    const std::lock_guard lock(l.sending);
    held.swap(l.held);
    at_start = l.ring.tail() == 0;  // the first call is not answered
    const bool by_plan = !l.doomed && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                         l.memory.header().retired.load(std_sync::relaxed) != 0 &&
                         l.run.load(std_sync::relaxed) > l.run_before;
    running = empty_table(l, by_plan);
    l.phase = lane_phase::empty;
    l.open.store(false, std_sync::relaxed);
    l.pid = -1;
    l.pidfd.reset();
    ++l.replaced;
    // Threads that sleep here for a result of this process will not be woken by it.
    os::futex_wake_shared(l.memory.header().getters.address(), os::futex_wake_all);
    l.memory.unmap();
    l.ring.reset(l.memory.slots());
    busy_[l.index].store(0, std_sync::relaxed);
    if (!by_plan && !ending_workers_ && !broken_.load(std_sync::relaxed)) {
      died_.fetch_add(1, std_sync::relaxed);
      if (!with_zygote) in_a_row = deaths_in_a_row_.fetch_add(1, std_sync::relaxed) + 1;
      // Counted by itself: a place that nobody can take is not made good by what the other workers finish meanwhile.
      failed_starts = l.failed_starts = at_start ? l.failed_starts + 1 : 0;
      too_many = std::max<std::uint64_t>(in_a_row, failed_starts) >= options_.max_deaths_in_a_row;
    }
    again = running != nullptr && running->ops->remote(running)->retries > 0 && !too_many &&
            !broken_.load(std_sync::relaxed);
    if (again) {
      --running->ops->remote(running)->retries;
      retried_.fetch_add(1, std_sync::relaxed);
      const std::lock_guard queue(mutex_);
      enqueue(running, true);
    }
  }
  l.receiving.store(false, std_sync::release);
  held.reset();
  forget(l);
  if (too_many) {
    const std::string last = std::string("; the last one ") + (at_start ? "while it started" : "while it ran") + ": " +
                             worker_died(status, 0).what();
    break_pool(in_a_row >= options_.max_deaths_in_a_row
                   ? std::to_string(in_a_row) + " workers died in a row without a finished task" + last
                   : std::to_string(failed_starts) + " replacements of one worker died in a row" + last);
  }
  send_elsewhere();
  if (running == nullptr || again) return;
  const std::uint64_t id = running->ops->remote(running)->id;
  end_task(running, fail(running, std::make_exception_ptr(worker_died(status, id))));
}

/// The dead worker's tasks wait in the queue again, but for the one that it ran, which is returned; null: it ran none.
/// REQUIRES: `sending` is held, and nobody else receives.
state* process_core::empty_table(lane& l, bool by_plan) {
  state* running = nullptr;
  task_list unstarted;
  bool oldest = true;
  for (std::uint64_t p = l.ring.tail(); p < l.ring.head(); ++p) {
    const slot_state s = l.ring.state_at(p);
    state* const task = l.take_task(p);
    if (task == nullptr) continue;
    // A worker runs one at a time. What else it marked it has not run, or is none of our making.
    const bool denied = !by_plan && std::exchange(oldest, false) && s != slot_state::taken &&
                        ++task->ops->remote(task)->bad_luck >= most_bad_luck;
    if (!denied && (s == slot_state::ready || s == slot_state::withdrawn || running != nullptr)) {
      unstarted.push_back(task);
    } else {
      running = task;
    }
  }
  put_back(unstarted);
  return running;
}

/// Another process for the lane, unless the pool ends.
void process_core::replace(lane& l) {
  if (ending_workers_ || broken_.load(std_sync::relaxed)) return;
  try {
    spawn(l);
  } catch (const std::system_error& e) {
    if (zygote_ == nullptr || e.code().value() == EPIPE) return;  // the zygote is gone too: its event follows
    not_replaced(l, e);
  } catch (const std::exception& e) {
    not_replaced(l, e);
  }
}

/// In a handler.
void process_core::not_replaced(lane& l, const std::exception& e) {
  {
    const std::lock_guard lock(l.sending);
    l.phase = lane_phase::empty;  // nobody is to be waited for
  }
  break_pool(std::string("a worker cannot be replaced: ") + e.what(), std::current_exception());
}

/// Any thread.
std::exception_ptr process_core::broken_error() {
  try {
    throw_refusal();
  } catch (...) {
    return std::current_exception();
  }
}

/// Lets go of what belonged to the process that was there.
void process_core::forget(lane& l) {
  for (os::unique_fd* const fd : {&l.bell, &l.out, &l.err}) {
    if (*fd) epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd->get(), nullptr);
    fd->reset();
  }
  l.file.reset();
  l.out_lines.reset();
  l.err_lines.reset();
}

/// Any thread. The pool takes no more tasks, and ends those it has.
void process_core::break_pool(const std::string& why, std::exception_ptr cause) {
  {
    const std::lock_guard lock(mutex_);
    if (broken_.load(std_sync::relaxed)) return;
    broken_why_ = why;
    broken_cause_ = std::move(cause);
    if (starting_ != 0 && start_error_ == nullptr) {
      start_error_ = broken_because("process_pool: the workers could not be started: " + why, broken_cause_);
    }
  }
  broken_.store(true, std_sync::release);  // release: the reason
  closed_.store(true, std_sync::release);
  changed_.notify_all();
  std_sync::full_fence();
  kick();
}

/// After break_pool: ends the processes and what had not begun. What runs ends with its process.
void process_core::end_broken() {
  int signal = SIGKILL;
  if (const auto asked = end_signal_.load(std_sync::relaxed); asked != 0) signal = static_cast<int>(asked);
  const auto now = std::chrono::steady_clock::now();
  if (std::exchange(broken_seen_, true)) {
    const bool in_grace = kill_at_ != time_point::max();
    if (signal == SIGKILL && in_grace) kill_at_ = now;
    return;
  }
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
    l->open.store(false, std_sync::relaxed);
    if (l->phase == lane_phase::open || l->phase == lane_phase::starting) {
      l->phase = lane_phase::ending;
      l->doomed = true;
      put_back_all(*l);
    }
    if (l->pidfd) os::send_signal(l->pidfd.get(), signal);
  }
  kill_at_ = signal == SIGKILL ? now : now + grace;
  end_pending();
}

/// The zygote is gone, and the kernel has killed its workers with it; or it is given up, and they are killed here.
void process_core::zygote_gone() {
  const callbacks_at_end later;
  for (const auto& l : lanes_) {  // a task is not to try one dead worker after the other
    const std::lock_guard lock(l->sending);
    l->open.store(false, std_sync::relaxed);
    l->doomed = true;
  }
  for (const auto& l : lanes_) {
    if (!l->pidfd) continue;  // only this thread changes it
    os::send_signal(l->pidfd.get(), SIGKILL);
    os::wait_until_ended(l->pidfd.get(), std::chrono::seconds(10));
  }
  std::string why;
  std::exception_ptr cause;
  if (!ending_workers_ && !broken_.load(std_sync::relaxed)) {
    try {
      if (deaths_in_a_row_.fetch_add(1, std_sync::relaxed) + 1 >= options_.max_deaths_in_a_row) {
        throw error("it died again and again");
      }
      replace_zygote();
    } catch (const std::exception& e) {
      why = std::string("the process that starts the workers died and could not be started again: ") + e.what();
      cause = std::current_exception();
    }
  } else {
    zygote_.reset();
  }
  if (!why.empty()) {
    zygote_.reset();
    break_pool(why, cause);
  }
  const guest_visit visit(*this);
  for (const auto& l : lanes_) {
    if (l->current_phase() == lane_phase::empty) continue;
    clear_away(*l, SIGKILL, true);
    replace(*l);
  }
  for (const auto& l : lanes_) put_lines(*l);  // as in worker_gone()
}

}  // namespace remuda::detail
