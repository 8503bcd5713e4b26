// A process pool without processes, thread and zygote: who holds the harness plays its workers, by writing into their
// memory, and its supervisor, step by step and at times of his own. Everything that the parent does with what it finds
// there is the library's own code.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "runtime/os/memfd.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/sched/dispatch.hpp"

namespace remuda::detail {

struct process_core_harness {
  using time_point = std::chrono::steady_clock::time_point;

  explicit process_core_harness(process_pool_options options)
      : core(std::make_shared<process_core>(std::move(options))) {
    pool_registry::add(core, core->id());
  }

  const std::shared_ptr<process_core> core;
  time_point now{std::chrono::seconds(1)};

  /// This thread is the pool's own while one of these lives.
  class as_supervisor {
   public:
    explicit as_supervisor(process_core_harness& pool) { serving = pool.core.get(); }
    ~as_supervisor() { serving = nullptr; }
    as_supervisor(const as_supervisor&) = delete;
    as_supervisor& operator=(const as_supervisor&) = delete;
  };

  /// As after the constructor, whatever was before. The first calls are not answered.
  void start_over() {
    process_core& c = *core;
    now = time_point(std::chrono::seconds(1));
    c.next_lane_.store(0);
    c.next_id_.store(0);
    c.ended_.store(0);
    c.deaths_in_a_row_.store(0);
    for (auto* flag : {&c.closed_, &c.cancel_pending_, &c.broken_, &c.unfair_}) flag->store(false);
    c.broken_why_.clear();
    c.broken_cause_ = nullptr;
    c.start_error_ = nullptr;
    c.starting_ = c.size();
    c.last_share_ = c.next_audit_ = {};
    c.cancel_seen_ = c.broken_seen_ = c.ending_workers_ = false;
    for (const auto& l : c.lanes_) {
      l->seen_tail = l->audited_tail = 0;
      l->opened_before = false;
      l->failed_starts = 0;
      new_worker(*l);
    }
  }

  lane& at(std::size_t i) { return *core->lanes_[i % core->lanes_.size()]; }
  std::size_t lanes() const { return core->lanes_.size(); }

  // --- what happens to the workers

  /// As spawn(), but nobody is asked for a process.
  void new_worker(lane& l) { core->new_ring(l, os::make_memfd("remuda", l.memory.layout().total)); }

  /// The lane's process is gone with this wait status, and there is another one unless the pool ends. False then.
  bool die(lane& l, int status, bool with_zygote = false) {
    if (l.phase == lane_phase::empty) return false;
    const process_core::guest_visit visit(*core);
    const callbacks_at_end later;
    core->clear_away(l, status, with_zygote);
    if (core->ending_workers_ || core->broken_.load()) return false;
    new_worker(l);
    return true;
  }

  /// The zygote reports a process for the lane, for which there was no descriptor. False: it cannot be watched.
  bool begin(lane& l, pid_t process) {
    zygote::event spawned;
    spawned.lane = l.index;
    spawned.pid = process;
    return core->begin(l, spawned);
  }

  // --- threads that are in the middle of something

  /// One is about to send to a worker.
  class sender {
   public:
    sender(process_core_harness& pool, lane& l) : core_(*pool.core), lane_(l), sending_(l.sending) {}
    /// It has taken the worker's newest call back into the queue, and then out of it to send it again.
    void take_newest() {
      task_list newest;
      core_.withdraw(lane_, lane_.ring.head() - 1, 1, newest);
      core_.put_back(newest);
      in_hand_ = core_.take_waiting(lane_, tasks_);
    }
    /// It finds no room.
    ~sender() {
      const std::lock_guard lock(core_.mutex_);
      while (in_hand_ != 0) core_.enqueue(tasks_[--in_hand_], true);
    }
    sender(const sender&) = delete;
    sender& operator=(const sender&) = delete;

   private:
    process_core& core_;
    lane& lane_;
    const std::lock_guard<std::mutex> sending_;
    std::array<state*, 1> tasks_{};
    std::size_t in_hand_ = 0;
  };

  /// One has withdrawn the oldest call of a worker, and not yet taken its task. Its end cancels the task.
  class withdrawer {
   public:
    withdrawer(process_core_harness& pool, lane& l) : core_(*pool.core), lane_(l), sending_(l.sending) {
      withdrawn_ = l.ring.withdraw(position_);
    }
    ~withdrawer() {
      state* const task = withdrawn_ ? lane_.take_task(position_) : nullptr;
      sending_.unlock();
      if (task != nullptr) core_.give_up(task, nullptr);
    }
    withdrawer(const withdrawer&) = delete;
    withdrawer& operator=(const withdrawer&) = delete;

    std::uint64_t position() const { return position_; }

   private:
    process_core& core_;
    lane& lane_;
    const std::uint64_t position_ = lane_.ring.tail();
    std::unique_lock<std::mutex> sending_;
    bool withdrawn_ = false;
  };

  // --- what the supervisor does

  void receive(lane& l) { core->receive(l, nullptr); }
  void look() {
    core->receive_all();
    core->finish_handed_over();
    if (core->broken_.load()) core->end_broken();
    if (core->cancel_pending_.load() && !std::exchange(core->cancel_seen_, true)) core->cancel_all_pending();
    core->drain_pending();
  }
  void check_times() {
    for (const auto& l : core->lanes_) core->check_times(*l, now);
  }
  void audit() {
    core->next_audit_ = {};
    core->audit();
  }
  void announce_sleep() { core->announce_sleep(process_core::rest::sleep); }
  void share_out() {
    core->last_share_ = {};
    core->unfair_.store(core->share_out());
  }
  void break_pool() {
    core->break_pool("the pool was killed");
    core->end_broken();
  }
  void end_workers() { core->end_workers(); }

  // --- what there is to see

  /// Workers that the constructor would still wait for.
  unsigned starting() const { return core->starting_; }

  /// It sleeps at most a second.
  bool watches() const { return core->watching_; }
  bool kicked() const { return core->kicks_.load() != core->kicks_seen_; }

  bool open(lane& l) const { return l.current_phase() == lane_phase::open; }
  bool broken() const { return core->broken_.load(); }
  bool drained() const { return core->drained(); }
  /// Why something is left over after the end; null when nothing is.
  const char* left_over() const {
    const process_core& c = *core;
    if (!c.pending_.empty() || c.pending_count_.load() != 0) return "a task is left in the queue";
    if (!c.handed_over_.empty()) return "a result is left that was handed over";
    if (c.queued_.load() != 0) return "a task has ended twice or never";
    if (c.visits_.load() % process_core::one_entry != 0) return "a visit has no end";
    if (c.heap_->used() != 0) return "a shared buffer is left";
    for (const auto& l : c.lanes_) {
      if (l->phase != lane_phase::empty || l->open.load() || l->receiving.load()) return "a lane is not shut";
      if (l->ring.in_flight() != 0 || c.busy_[l->index].load() != 0) return "a lane is not empty";
      if (l->held != nullptr) return "a lane holds buffers";
      for (std::uint64_t p = 0; p < l->ring.capacity(); ++p) {
        if (l->task_at(p).load() != nullptr) return "a lane holds a task";
      }
    }
    return nullptr;
  }
};

}  // namespace remuda::detail
