// The inside of a process pool. Its parts, in the order in which a task meets them:
//   process_core.cpp  start, submit, shutdown      dispatch.cpp    which worker gets a task
//   receive.cpp       results out of the rings     supervisor.cpp  the pool's own thread
//   take_back.cpp     taking tasks back            worker_output.cpp what workers write
//   births.cpp        workers begin                deaths.cpp      a worker is gone
//   audit.cpp         workers that write nonsense  worker_main.cpp the other side
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "remuda/process_pool.hpp"
#include "runtime/proc/lane.hpp"
#include "runtime/proc/shared_heap.hpp"
#include "runtime/proc/task_list.hpp"
#include "runtime/proc/zygote.hpp"
#include "runtime/sched/pool_home.hpp"
#include "runtime/sched/settings.hpp"
#include "runtime/sync/spin.hpp"
#include "runtime/topo/placement.hpp"

namespace remuda::detail {

class process_core final : public remote_home {
 public:
  explicit process_core(process_pool_options options);
  ~process_core() override;

  /// Starts zygote, workers and supervisor; see process_pool's constructor for what it throws.
  void start();
  std::uint64_t id() const { return id_; }
  unsigned size() const { return static_cast<unsigned>(lanes_.size()); }
  process_pool_stats stats() const;
  const pool_settings& settings() const { return settings_; }

  /// Takes over one reference, also when it throws.
  void schedule(state* task, remote_part& part);
  /// See process_pool::make_buffer.
  block_ptr allocate_shared(std::size_t bytes);
  void shutdown(shutdown_mode mode);
  /// Ends the pool now, by this signal.
  void end_now(int signal);
  /// The end of the pool object.
  void abandon();
  void leave_behind() noexcept;

  // remote_home
  bool inside() const override { return serving == this || guest_visit::made_to(this); }
  void report(std::exception_ptr error) noexcept override;
  bool run_as_guest(state*) override { return false; }
  void poll(state* s) override;
  void sleep(state* s, std::uint32_t word, const deadline& until) override;
  bool take_back(state* s, bool force) override;
  bool begun(const state* s) const override;
  void serve(const deadline& until) override;

 private:
  process_core(process_pool_options& options, const pool_start& start);

  friend struct process_core_harness;  // tests/fuzz/: plays a worker in this process
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::uint64_t one_entry = std::uint64_t{1} << 32;

  // relaxed: the lock or exchange of the work itself orders it
  void enter_guest() override { visits_.fetch_add(one_entry + 1, std_sync::relaxed); }
  void leave_guest() override;

  // process_core.cpp
  bool admit(state* task, remote_part& part);
  void left_queue();
  static void cancel_unsent(state* task);
  [[noreturn]] void throw_refusal();
  void join();

  // dispatch.cpp
  enum class sent { yes, no_room, gone };
  void dispatch(state* task);
  lane* choose();
  void tell(lane& l);
  bool refused() const;
  struct attempt {
    bool room = true;  // false: not sent, to be tried again
    std::exception_ptr failure;
  };
  sent send(lane& l, state* task);
  std::size_t take_waiting(const lane& l, std::span<state*> tasks);
  bool send_waiting(lane& l);
  attempt try_send(lane& l, state* task, remote_part& part);
  void look_for_idle();
  bool write_call(lane& l, state* task, remote_part& part);
  bool tell_modules(lane& l);
  bool put_pending(state* task);
  void put_back(task_list& tasks);
  void enqueue(state* task, bool in_front);
  state* dequeue();
  void left_queue(state* task);
  bool end_pending();
  void drain_pending();

  // take_back.cpp
  bool somebody_is_idle() const;
  static bool has_tasks_behind(lane& l);
  bool queue_behind_work() const;
  bool share_out();
  bool spare_those_behind(lane& l, std::uint64_t position);
  void send_elsewhere();
  lane* lane_at(std::uint64_t place) const;
  enum class take { done, not_there, moved };  // moved: to be looked for again
  take take_from_queue(state* s);
  take take_from_ring(lane& l, std::uint64_t place, state* s, bool force);
  void withdraw(lane& l, std::uint64_t begin, std::size_t most, task_list& taken);
  void put_back_all(lane& l);
  void cancel_all_pending();

  // receive.cpp
  std::size_t receive(lane& l, const state* awaited);
  struct received {
    state* task;
    status outcome;
  };
  std::optional<status> read_result(lane& l, const call_slot& slot, state* task);
  void first_result(lane& l, const call_slot& slot);
  void end_task(state* task, status outcome);
  void hand_over(const received& r);
  bool finish_handed_over();
  status fail(state* task, std::exception_ptr error);
  void give_up(state* task, std::exception_ptr error);

  // supervisor.cpp
  enum class rest { none, nap, sleep };
  void supervise();
  bool results_stream();
  void turn(const deadline& until, bool may_sleep);
  bool receive_all();
  bool in_flight() const;
  void announce_sleep(rest how);
  bool something_to_do(rest how);
  void wait_for_events(const deadline& until, rest how);
  void handle_event(std::uint64_t tag);
  void handle_zygote();
  void check_times();
  void check_times(lane& l, time_point now);
  time_point next_look() const;
  void kick();
  bool drained() const;
  bool finished();
  void end_workers();

  // worker_output.cpp
  void put_line(output_stream stream, unsigned worker, std::string_view line);
  void read_output(lane& l, bool to_the_end);
  void put_lines(lane& l);

  // audit.cpp
  void audit();

  // births.cpp
  void start_workers();
  void replace_zygote();
  void watch_zygote();
  void not_spawned(int error);
  void spawn(lane& l);
  worker_settings settings_for(const lane& l) const;
  void new_ring(lane& l, os::unique_fd file);
  void first_call(lane& l);
  bool begin(lane& l, zygote::event& spawned);
  void open_lane(lane& l);

  // deaths.cpp
  void condemn(lane& l);
  static void doom(lane& l);
  static void hold_buffers(lane& l, state* task);
  void worker_gone(lane& l, int status);
  void clear_away(lane& l, int status, bool with_zygote);
  state* empty_table(lane& l, bool by_plan);
  void replace(lane& l);
  void not_replaced(lane& l, const std::exception& e);
  void forget(lane& l);
  void break_pool(const std::string& why, std::exception_ptr cause = nullptr);
  std::exception_ptr broken_error();
  void end_broken();
  void zygote_gone();

  const process_pool_options options_;  // settings_ has what it leaves open
  const pool_settings settings_;
  const std::uint64_t id_;
  const topology machine_;  // as the one who makes the pool may use it
  topo::placement placement_;
  segment_layout layout_;
  std::vector<std::unique_ptr<lane>> lanes_;
  std::unique_ptr<zygote> zygote_;  // of the supervisor once that runs
  os::unique_fd events_;            // epoll
  os::unique_fd kicked_;            // eventfd
  spin_budget budget_;              // of the supervisor

  alignas(cache_line) atomic<std::uint32_t> next_lane_{0};  // where the search for an idle worker starts
  std::unique_ptr<atomic<std::uint8_t>[]> busy_;            // by lane: has something in its ring
  alignas(cache_line) atomic<std::uint64_t> visits_{
      0};  // threads with tasks in hand, and above that how many ever came
  atomic<std::size_t> pending_count_{0};
  atomic<std::uint64_t> next_id_{0};
  atomic<bool> closed_{false};
  atomic<bool> cancel_pending_{false};
  atomic<bool> broken_{false};
  atomic<std::uint32_t> ended_{0};  // also a futex: shutdown waits on it
  atomic<bool> asleep_{false};      // the supervisor is, or is about to be
  atomic<bool> unwatched_{false};   // it sleeps without an end, for nothing was in flight for long: who sends wakes it
  atomic<std::uint32_t> kicks_{0};  // asked for, whether it slept or not
  atomic<bool> unfair_{false};      // somebody has seen tasks behind a long one and a worker without work
  atomic<std::uint32_t> end_signal_{0};
  alignas(cache_line) atomic<std::uint64_t> queued_{0};  // bounded mode only
  atomic<std::uint64_t> deaths_in_a_row_{0};
  atomic<std::uint64_t> retried_{0}, timed_out_{0}, died_{0};

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  task_list pending_;
  std::vector<received> handed_over_;
  std::string broken_why_;
  std::exception_ptr broken_cause_;
  unsigned starting_ = 0;  // workers that the constructor waits for
  std::exception_ptr start_error_;
  std::thread supervisor_;
  std::shared_ptr<shared_heap> heap_;  // null after the end: descriptor and memory stay only with buffers that are left
  bool detached_ = false;
  bool finished_ = false;  // nothing is queued any more, whoever submits
  std::mutex joining_;

  // Of the supervisor.
  time_point last_share_{};
  time_point last_found_{};
  time_point next_time_ = time_point::max();  // when a task's time may be over
  time_point next_audit_{};
  time_point kill_at_ = time_point::max();
  time_point given_up_at_ = time_point::max();  // the zygote, by a broken pool
  std::uint64_t seen_received_ = 0;             // results, when it last asked whether they stream
  unsigned turns_ = 0;
  bool crowded_ = false;  // others want this thread's CPU
  std::uint32_t kicks_seen_ = 0;
  bool watching_ = true;  // looks once a second: something was in flight lately
  bool cancel_seen_ = false;
  bool broken_seen_ = false;
  bool ending_workers_ = false;

  const process_core* previous_left_ = nullptr;
  std::shared_ptr<pool_home> self_;
};

}  // namespace remuda::detail
