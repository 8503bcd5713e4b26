// A process pool's start, the way of a task into it, and its end.
#include "runtime/proc/process_core.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/proc/entry.hpp"
#include "runtime/proc/supervisor.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/seating.hpp"
#include "runtime/sched/wait.hpp"

namespace remuda::detail {
namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

process_pool_options checked(process_pool_options options) {
  if (options.max_deaths_in_a_row == 0) {
    throw std::invalid_argument("process_pool: max_deaths_in_a_row is 0; it must be at least 1");
  }
  if (options.max_payload == 0 || options.max_payload > (std::size_t{1} << 40)) {
    throw std::invalid_argument("process_pool: max_payload must be from 1 byte to 1 TiB");
  }
  if (options.max_shared > (std::size_t{1} << 44)) {
    throw std::invalid_argument("process_pool: max_shared must be at most 16 TiB");
  }
  // Memory files count as files. The default is more than such a limit allows, and most pools need none of it.
  rlimit files{};
  if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
    options.max_shared = std::min<std::size_t>(options.max_shared, files.rlim_cur / page_bytes() * page_bytes());
  }
  return options;
}

}  // namespace

process_core::process_core(process_pool_options options)
    : process_core(options, start_of("process_pool", process_pool::max_workers,
                                     {options.profile, options.workers, options.policy, options.pin})) {}

process_core::process_core(process_pool_options& options, const pool_start& start)
    : options_(checked(std::move(options))),
      settings_(start.settings),
      id_(pool_registry::new_id()),
      machine_(start.machine),
      placement_(place_workers(machine_, settings_.workers)),
      layout_(settings_.ring_slots, options_.max_payload, options_.max_payload),
      budget_(settings_.spin),
      busy_(std::make_unique<atomic<std::uint8_t>[]>(placement_.workers())),
      heap_(std::make_shared<shared_heap>(id_, options_.max_shared)) {
  lanes_.reserve(placement_.workers());
  for (unsigned i = 0; i < placement_.workers(); ++i) lanes_.push_back(std::make_unique<lane>(i, layout_));
}

process_core::~process_core() { pool_registry::remove(id_); }

void process_core::start() {
  pool_registry::add(shared_from_this(), id_);
  if (in_zygote_start()) {  // a pool of static storage duration, in the zygote that another one has started
    closed_.store(true, std_sync::relaxed);
    ended_.store(1, std_sync::release);
    broken_.store(true, std_sync::relaxed);
    broken_why_ = "this is a worker process: process pools that are made in one do nothing";
    return;
  }
  events_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!events_) os::throw_errno(errno, "process_pool: cannot watch the workers");
  kicked_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!kicked_) os::throw_errno(errno, "process_pool: cannot make an eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag_of(0, watched::kick);
  if (epoll_ctl(events_.get(), EPOLL_CTL_ADD, kicked_.get(), &event) != 0) {
    os::throw_errno(errno, "process_pool: cannot watch an eventfd");
  }
  starting_ = size();
  start_workers();
  {
    const std::lock_guard lock(mutex_);
    supervisor_ = std::thread([keep = shared_from_this(), this] { supervise(); });
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return starting_ == 0 || start_error_ != nullptr; });
  if (start_error_ == nullptr) return;
  lock.unlock();
  end_now(SIGKILL);
  shutdown(shutdown_mode::wait);
  std::rethrow_exception(start_error_);
}

/// Ends a task that was not sent: nobody but the submitter knows it yet.
void process_core::cancel_unsent(state* task) {
  task->word.set_unshared(status::cancelled);
  task->ops->discard(task);
  release_reference(task);
}

void process_core::throw_refusal() {
  if (!broken_.load(std_sync::acquire)) {  // acquire: the reason
    throw shutdown_error("the pool was shut down: it takes no more tasks");
  }
  const std::lock_guard lock(mutex_);
  if (broken_cause_ == nullptr) throw broken_pool_error(broken_why_);
  try {
    std::rethrow_exception(broken_cause_);
  } catch (...) {
    std::throw_with_nested(broken_pool_error(broken_why_));
  }
}

void process_core::schedule(state* task, remote_part& part) {
  if (pool_registry::forked_since(id_)) {
    cancel_unsent(task);
    throw_forked();
  }
  part.id = next_id_.fetch_add(1, std_sync::relaxed) + 1;  // relaxed: only a name
  if (options_.max_pending != 0 && !admit(task, part)) return;
  dispatch(task);
}

/// Bounded mode: true when the task may be queued; false when it was run here; throws when it is refused. The bound
/// holds for the tasks that are not finished, less one for each worker, as one cannot see from here which have begun.
bool process_core::admit(state* task, remote_part& part) {
  const std::uint64_t most = options_.max_pending + size();
  const auto enter = [this, most] {
    std::uint64_t n = queued_.load(std_sync::relaxed);  // relaxed, here and below: it only counts
    while (n < most) {
      if (queued_.compare_exchange_weak(n, n + 1, std_sync::relaxed, std_sync::relaxed)) return true;
    }
    return false;
  };
  const auto closed = [this] { return closed_.load(std_sync::acquire) && !inside(); };  // acquire: the reason
  if (enter()) return true;
  if (closed()) {
    cancel_unsent(task);
    throw_refusal();
  }
  if (options_.full == when_full::fail) {
    cancel_unsent(task);
    throw pool_full_error("the pool has " + std::to_string(options_.max_pending) + " tasks queued, its bound");
  }
  if (inside()) {  // waiting could be waiting for oneself
    queued_.fetch_add(1, std_sync::relaxed);
    return true;
  }
  if (options_.full == when_full::block) {
    give_up_seat();  // of a thread pool
    std::unique_lock lock(mutex_);
    bool entered = false;
    changed_.wait(lock, [&] { return closed() || (entered = enter()); });
    if (entered) return true;
    lock.unlock();
    cancel_unsent(task);
    throw_refusal();
  }
  const auto keep = shared_from_this();  // the task may destroy the pool object
  std::unique_lock lock(mutex_);         // who finds the pool drained under it has seen this visit, or we the close
  const guest_visit visit(*this);
  const bool late = closed_.load(std_sync::acquire);  // acquire: the reason
  lock.unlock();
  if (late) {
    cancel_unsent(task);
    throw_refusal();
  }
  task->word.set_unshared(status::running);
  const status outcome = part.ops->run_in_caller(task);
  task->ops->discard(task);
  complete(task, outcome);
  if (outcome == status::error && task->ops->detached) report(static_cast<value_state<void>*>(task)->error);
  release_reference(task);
  return false;
}

void process_core::left_queue() {
  if (options_.max_pending == 0) return;
  if (queued_.fetch_sub(1, std_sync::relaxed) > options_.max_pending + size()) return;
  { const std::lock_guard lock(mutex_); }  // a submitter that has found it full is asleep now
  changed_.notify_one();
}

void process_core::leave_guest() {
  // release: what the guest did comes before the end of the pool
  if (visits_.fetch_sub(1, std_sync::acq_rel) % one_entry != 1) return;
  std_sync::full_fence();  // the closer looks for guests after it has closed, and we for the close after we have left
  if (closed_.load(std_sync::relaxed)) kick();
}

void process_core::shutdown(shutdown_mode mode) {
  if (pool_registry::forked_since(id_)) return;  // the workers are the parent's
  if (mode == shutdown_mode::cancel_pending) cancel_pending_.store(true, std_sync::relaxed);
  closed_.store(true, std_sync::release);
  // A submitter that saw the pool open has sent its task, or will see it closed.
  for (const auto& l : lanes_) {
    const std::lock_guard sender(l->sending);
  }
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
  if (ended_.load(std_sync::acquire) == 0) kick();
  if (inside()) return;
  wait_for_change(ended_, 0, {});
  join();
}

void process_core::end_now(int signal) {
  if (pool_registry::forked_since(id_) || ended_.load(std_sync::acquire) != 0) return;
  std::uint32_t none = 0;
  if (signal == SIGKILL) {
    end_signal_.store(SIGKILL, std_sync::release);
  } else {  // the harder one counts
    end_signal_.compare_exchange_strong(none, static_cast<std::uint32_t>(signal), std_sync::acq_rel);
  }
  kick();
}

void process_core::abandon() {
  if (inside()) {
    const std::lock_guard lock(mutex_);
    detached_ = true;
    if (supervisor_.joinable()) supervisor_.detach();
  }
  shutdown(shutdown_mode::wait);
}

void process_core::join() {
  const std::lock_guard joining(joining_);  // a second caller waits for the first
  std::thread supervisor;
  {
    const std::lock_guard lock(mutex_);
    supervisor.swap(supervisor_);
  }
  if (supervisor.joinable()) supervisor.join();
  std::shared_ptr<shared_heap> heap;  // ends outside of the lock
  const std::lock_guard lock(mutex_);
  heap.swap(heap_);
}

block_ptr process_core::allocate_shared(std::size_t bytes) {
  if (pool_registry::forked_since(id_)) throw_forked();
  std::shared_ptr<shared_heap> heap;
  {
    const std::lock_guard lock(mutex_);
    heap = heap_;
  }
  if (heap == nullptr) throw_refusal();
  return heap->allocate(bytes);
}

void process_core::leave_behind() noexcept {
  static constinit const process_core* newest = nullptr;  // reachable: kept on purpose
  previous_left_ = std::exchange(newest, this);
  self_ = shared_from_this();
}

void process_core::report(std::exception_ptr error) noexcept {
  if (!options_.on_error) return print_error(error);
  try {
    options_.on_error(std::move(error));
  } catch (...) {
    print_error(std::current_exception());
  }
}

process_pool_stats process_core::stats() const {
  process_pool_stats out;
  out.pending = pending_count_.load(std_sync::relaxed);
  out.died = died_.load(std_sync::relaxed);
  out.retried = retried_.load(std_sync::relaxed);
  out.timed_out = timed_out_.load(std_sync::relaxed);
  const bool forked = pool_registry::forked_since(id_);  // a thread that is not here may hold a lock
  if (!forked) {
    const std::lock_guard lock(mutex_);
    if (heap_ != nullptr) out.shared = heap_->used();
  }
  for (const auto& l : lanes_) {
    auto& w = out.workers.emplace_back();
    w.cpu = settings_.pin ? static_cast<int>(placement_.cpu_of(l->index).os_index) : -1;
    w.run = l->run.load(std_sync::relaxed);
    if (forked) continue;
    const std::lock_guard lock(l->sending);
    const std::uint64_t in_ring = l->ring.in_flight();
    out.pending += in_ring > 1 ? in_ring - 1 : 0;  // one of them runs
    w.pid = l->pid;
    w.replaced = l->replaced;
  }
  return out;
}

}  // namespace remuda::detail
