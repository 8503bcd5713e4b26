// oneTBB: an arena with as many worker threads as asked for and no seat for the caller.
#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <future>
#include <memory>
#include <new>
#include <utility>

namespace bench {

class tbb_peer {
 public:
  static constexpr const char* name = "tbb";
  static constexpr bool keeps_workers = true;
  static constexpr std::size_t share = 1;

  explicit tbb_peer(unsigned workers)
      : limit_(tbb::global_control::max_allowed_parallelism, workers + 1), arena_(static_cast<int>(workers), 0) {}
  tbb_peer(const tbb_peer&) = delete;
  tbb_peer& operator=(const tbb_peer&) = delete;

  ~tbb_peer() {
    arena_.execute([this] { spawned_.wait(); });
    arena_.terminate();
    tbb::finalize(scheduler_, std::nothrow);  // its threads would spin on for a while, into somebody else's turn
  }

  template <class F>
  void post(F f) {
    arena_.enqueue(std::move(f));
  }
  /// Inside a task TBB's own way is a task_group, which uses the worker's own queue.
  template <class F>
  void spawn(F f) {
    spawned_.run(std::move(f));
  }
  /// TBB has no futures; the standard's carry the result. An enqueued function has to be copyable, hence the pointer.
  template <class F>
  auto submit(F f) {
    using task = std::packaged_task<decltype(f())()>;
    auto shared = std::make_shared<task>(std::move(f));
    auto result = shared->get_future();
    arena_.enqueue([shared = std::move(shared)] { (*shared)(); });
    return result;
  }
  template <class F>
  void submit_and_help(F f) {
    helped_.execute([&] {
      tbb::task_group group;
      group.run(std::move(f));
      group.wait();
    });
  }
  template <class F>
  void run_child(F f) {
    tbb::task_group group;
    group.run(std::move(f));
    group.wait();
  }

 private:
  tbb::task_scheduler_handle scheduler_{tbb::attach{}};
  tbb::global_control limit_;
  tbb::task_arena arena_;
  tbb::task_arena helped_{2, 1};  ///< one worker, and a seat for the caller
  tbb::task_group spawned_;
};

/// As tbb_peer, but tasks spawn through the arena's shared queue.
class tbb_enqueue_peer : public tbb_peer {
 public:
  static constexpr const char* name = "tbb_enqueue";
  using tbb_peer::tbb_peer;
  template <class F>
  void spawn(F f) {
    post(std::move(f));
  }
};

}  // namespace bench
