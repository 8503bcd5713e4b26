// A worker begins, and a worker is gone: what it leaves behind, and who takes its place. CRASH.md tells why nothing is
// lost. All of the supervisor, except where it says otherwise.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/os/memfd.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/code_ref.hpp"
#include "runtime/proc/harden.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/proc/supervisor.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/seating.hpp"

namespace remuda::detail {
namespace {

/// A task that was next when so many workers died had begun, whatever they wrote: else it could kill workers for ever.
constexpr std::uint32_t most_bad_luck = 8;

void no_initializer(wire_reader&, wire_writer&, call_stage& stage) { stage = call_stage::result; }

void watch(int epoll, int fd, std::uint64_t tag, std::uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) os::throw_errno(errno, "process_pool: cannot watch a worker");
}

struct two_ends {
  os::unique_fd read, write;
};

two_ends make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) os::throw_errno(errno, "process_pool: cannot make a pipe for a worker's output");
  two_ends p{os::unique_fd(ends[0]), os::unique_fd(ends[1])};
  fcntl(p.read.get(), F_SETFL, O_NONBLOCK);  // ours alone: the worker's end is another description
  return p;
}

}  // namespace

/// Asks for a process for the lane, with memory of its own. Also called by the constructor, before the supervisor runs.
/// Throws std::system_error.
void process_core::spawn(lane& l) {
  os::unique_fd file = os::make_memfd("remuda", l.memory.layout().total);
  os::unique_fd bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) os::throw_errno(errno, "process_pool: cannot make an eventfd for a worker");
  two_ends out = make_pipe();
  two_ends err = make_pipe();

  new_ring(l, std::move(file));
  l.bell = std::move(bell);
  l.out = std::move(out.read);
  l.err = std::move(err.read);
  const auto line = [&l](output_stream stream) {
    return [&l, stream](std::string_view text) { l.lines.emplace_back(stream, text); };
  };
  l.out_lines.emplace(line(output_stream::out));
  l.err_lines.emplace(line(output_stream::error));
  // The worker has the same open file and so may clear O_NONBLOCK. With edges nothing has to be read here.
  watch(events_.get(), l.bell.get(), tag_of(l.index, watched::bell), EPOLLIN | EPOLLET);
  watch(events_.get(), l.out.get(), tag_of(l.index, watched::out));
  watch(events_.get(), l.err.get(), tag_of(l.index, watched::err));
  zygote_->spawn(settings_for(l), {l.file.get(), heap_->file(), l.bell.get(), out.write.get(), err.write.get()});
}

worker_settings process_core::settings_for(const lane& l) const {
  worker_settings settings;
  settings.lane = l.index;
  settings.cpu = options_.pin ? static_cast<int>(placement_.cpu_of(l.index).os_index) : -1;
  settings.address_space = options_.limits.memory;
  settings.cpu_seconds = static_cast<std::uint64_t>(options_.limits.cpu_time.count());
  settings.open_files = options_.limits.open_files;
  settings.max_resident = options_.limits.resident;
  settings.max_tasks = options_.max_tasks_per_worker;
  settings.harden = options_.harden ? std::uint32_t{harden_all} : 0;
  const std::string name = options_.name + "/" + std::to_string(l.index);
  name.copy(settings.name, sizeof settings.name - 1);
  settings.ring_capacity = layout_.capacity;
  settings.argument_bytes = options_.max_payload;
  settings.result_bytes = options_.max_payload;
  settings.heap_bytes = heap_->bytes();
  settings.spin_ns = spin_of(options_.policy).count();
  return settings;
}

/// The lane starts over with this memory and the first call in it. Throws std::system_error.
void process_core::new_ring(lane& l, os::unique_fd file) {
  {
    const std::lock_guard lock(l.sending);
    l.memory.map(file.get());
    l.ring.reset(l.memory.slots());
    l.arguments.emplace(file.get(), l.memory.base(), l.memory.layout().arguments,
                        l.memory.layout().arguments + options_.max_payload, l.memory.layout().capacity + 1);
    l.modules_told = 1;
    l.timed = 0;
    l.timed_front.reset();
    l.doomed = false;
    l.phase = lane_phase::starting;
    l.run_before = l.run.load(std_sync::relaxed);
    // Modules first would be told after it, so the initializer's own has to be told before: it takes its place in
    // order.
    first_call(l);
  }
  l.file = std::move(file);
}

/// REQUIRES: `sending` is held, the ring is fresh.
void process_core::first_call(lane& l) {
  call_slot& slot = l.ring.next();
  payload_writer out(
      slot.bytes, call_slot::inline_bytes, *l.arguments, [](void*) { throw no_room_now(); }, nullptr);
  slot.function = options_.initializer ? options_.initializer.function()
                                       : code_ref_of(reinterpret_cast<const void*>(&no_initializer));
  out.write(options_.initializer.bytes().data(), options_.initializer.bytes().size());
  slot.kind = slot_kind::call;
  slot.id = 0;
  slot.size = out.size();
  slot.where = out.keep(0);
  slot.started_at = 0;
  busy_[l.index].store(1, std_sync::relaxed);
  l.ring.publish();
}

/// The lane's process is there. False: it cannot be watched, so that nobody could end it but with the zygote.
bool process_core::begin(lane& l, zygote::event& spawned) {
  try {
    const std::lock_guard lock(l.sending);
    if (l.phase == lane_phase::empty) return true;
    l.pid = spawned.pid;
    l.pidfd = std::move(spawned.pidfd);
    if (!l.pidfd) l.pidfd = os::pidfd_open(spawned.pid);  // there was no descriptor free; perhaps now
    if (l.doomed) os::send_signal(l.pidfd.get(), SIGKILL);
    return true;
  } catch (const std::exception& e) {
    break_pool(std::string("a worker cannot be watched: ") + e.what());
    return false;
  }
}

/// Any thread: the initializer has run.
void process_core::open_lane(lane& l) {
  {
    const std::lock_guard lock(l.sending);
    if (l.phase != lane_phase::starting) return;
    l.phase = lane_phase::open;
    l.open.store(true, std_sync::relaxed);
  }
  std_sync::full_fence();  // a task that found no lane open is in the queue by now, or finds this one
  {
    const std::lock_guard lock(mutex_);
    if (starting_ != 0 && --starting_ == 0) changed_.notify_all();
  }
  kick();  // there may be something to share out
}

/// Any thread: the process misbehaves or is in the way. Its end is seen to when it comes.
void process_core::condemn(lane& l) {
  const std::lock_guard lock(l.sending);
  if (l.phase == lane_phase::open || l.phase == lane_phase::starting) doom(l);
}

/// REQUIRES: `sending` is held.
void process_core::doom(lane& l) {
  l.phase = lane_phase::ending;
  l.open.store(false, std_sync::relaxed);
  l.doomed = true;
  if (l.pidfd) os::send_signal(l.pidfd.get(), SIGKILL);
}

/// The task will end now, though the lane's process still runs it: what that one writes to it may not be somebody
/// else's before it is gone. REQUIRES: `sending` is held, the task was taken out of the lane's table.
void process_core::hold_buffers(lane& l, state* task) { l.held = std::move(task->ops->remote(task)->given); }

/// The lane's process is gone, with this wait status.
void process_core::worker_gone(lane& l, int status) {
  const guest_visit visit(*this);
  const callbacks_at_end later;  // when the lane is in order again, for they may wait for what it does next
  clear_away(l, status);
  replace(l);
}

/// Deals with all that the lane's process has left behind.
void process_core::clear_away(lane& l, int status) {
  read_output(l, true);
  receive(l, nullptr);  // what it has answered counts
  // Nobody else receives from here on. Who does so now may have results in hand, but leaves none behind: it looks
  // again.
  while (l.receiving.exchange(true, std_sync::acq_rel)) std::this_thread::yield();

  state* running = nullptr;
  std::vector<state*> unstarted;
  bool by_plan = false;
  bool at_start = false;
  std::unique_ptr<given_blocks> held;  // ends outside of the lock
  {
    const std::lock_guard lock(l.sending);
    held.swap(l.held);
    at_start = l.phase == lane_phase::starting;
    const bool doomed = l.doomed;
    by_plan = !doomed && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
              l.memory.header().retired.load(std_sync::relaxed) != 0 && l.run.load(std_sync::relaxed) > l.run_before;
    for (std::uint64_t p = l.ring.tail(); p < l.ring.head(); ++p) {
      const slot_state s = l.ring.state_at(p);
      state* const task = l.take_task(p);
      if (task == nullptr) continue;
      // A worker runs one at a time. What else it marked it has not run, or is none of our making.
      const bool denied = !by_plan && p == l.ring.tail() && s != slot_state::taken &&
                          ++task->ops->remote(task)->bad_luck >= most_bad_luck;
      if (!denied && (s == slot_state::ready || s == slot_state::withdrawn || running != nullptr)) {
        unstarted.push_back(task);
      } else {
        running = task;
      }
    }
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
  }
  l.receiving.store(false, std_sync::release);
  held.reset();
  forget(l);

  const bool ending = ending_workers_ || broken_.load(std_sync::relaxed);
  if (!by_plan && !ending) {
    died_.fetch_add(1, std_sync::relaxed);
    const auto in_a_row = deaths_in_a_row_.fetch_add(1, std_sync::relaxed) + 1;
    // Counted by itself: a place that nobody can take is not made good by what the other workers finish meanwhile.
    l.failed_starts = at_start ? l.failed_starts + 1 : 0;
    const std::string last = std::string("; the last one ") + (at_start ? "while it started" : "while it ran") + ": " +
                             worker_died(status, 0).what();
    if (in_a_row >= options_.max_deaths_in_a_row) {
      break_pool(std::to_string(in_a_row) + " workers died in a row without a finished task" + last);
    } else if (l.failed_starts >= options_.max_deaths_in_a_row) {
      break_pool(std::to_string(l.failed_starts) + " replacements of one worker died in a row" + last);
    }
  }
  for (auto at = unstarted.rbegin(); at != unstarted.rend(); ++at) requeue(*at);
  if (running != nullptr) {
    remote_part& part = *running->ops->remote(running);
    if (part.retries > 0 && !broken_.load(std_sync::relaxed)) {
      --part.retries;
      retried_.fetch_add(1, std_sync::relaxed);
      requeue(running);
    } else {
      end_task(running, fail(running, std::make_exception_ptr(worker_died(status, part.id))));
    }
  }
  put_lines(l);
}

/// Another process for the lane, unless the pool ends.
void process_core::replace(lane& l) {
  if (ending_workers_ || broken_.load(std_sync::relaxed)) return;
  try {
    spawn(l);
  } catch (const std::system_error& e) {
    if (zygote_ == nullptr || e.code().value() == EPIPE) return;  // the zygote is gone too: its event follows
    break_pool(std::string("a worker cannot be replaced: ") + e.what(), std::current_exception());
  } catch (const std::exception& e) {
    break_pool(std::string("a worker cannot be replaced: ") + e.what(), std::current_exception());
  }
}

/// A task that its worker has not begun, or may be begun again.
void process_core::requeue(state* task) {
  if (broken_.load(std_sync::relaxed) || ending_workers_) {
    give_up(task, broken_.load(std_sync::relaxed) ? broken_error() : nullptr);
  } else if (cancel_pending_.load(std_sync::relaxed)) {
    give_up(task, nullptr);
  } else {
    put_pending(task, true, false);
    std_sync::full_fence();
    drain_pending();
  }
}

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
      start_error_ =
          std::make_exception_ptr(broken_pool_error("process_pool: the workers could not be started: " + why));
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
  if (std::exchange(broken_seen_, true)) return;
  std::deque<state*> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(pending_);
    pending_count_.store(0, std_sync::relaxed);
  }
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
    l->open.store(false, std_sync::relaxed);
    if (l->phase == lane_phase::open || l->phase == lane_phase::starting) {
      l->phase = lane_phase::ending;
      l->doomed = true;
      for (std::uint64_t p = l->ring.tail(); p < l->ring.head(); ++p) {
        if (l->task_at(p).load(std_sync::relaxed) == nullptr || !l->ring.withdraw(p)) continue;
        if (state* const task = l->take_task(p)) tasks.push_back(task);
      }
    }
    if (l->pidfd) os::send_signal(l->pidfd.get(), signal);
  }
  if (signal != SIGKILL) kill_at_ = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  const std::exception_ptr error = broken_error();
  const guest_visit visit(*this);
  const callbacks_at_end later;
  for (state* task : tasks) give_up(task, error);
}

void process_core::replace_zygote() {
  zygote_.reset();
  zygote_ = std::make_unique<zygote>(options_.start);
  watch(events_.get(), zygote_->socket(), tag_of(0, watched::zygote));
}

/// The zygote is gone, and the kernel has killed its workers with it.
void process_core::zygote_gone() {
  const callbacks_at_end later;
  for (const auto& l : lanes_) {
    if (!l->pidfd) continue;  // only this thread changes it
    os::send_signal(l->pidfd.get(), SIGKILL);
    os::wait_until_ended(l->pidfd.get(), std::chrono::seconds(10));
  }
  std::string why;
  if (!ending_workers_ && !broken_.load(std_sync::relaxed)) {
    try {
      if (deaths_in_a_row_.fetch_add(1, std_sync::relaxed) + 1 >= options_.max_deaths_in_a_row) {
        throw error("it died again and again");
      }
      replace_zygote();
    } catch (const std::exception& e) {
      why = std::string("the process that starts the workers died and could not be started again: ") + e.what();
    }
  } else {
    zygote_.reset();
  }
  if (!why.empty()) {
    zygote_.reset();
    break_pool(why);
  }
  for (const auto& l : lanes_) {
    if (l->current_phase() != lane_phase::empty) worker_gone(*l, SIGKILL);
  }
}

}  // namespace remuda::detail
