// Machines that change while pools run: CPUs go offline, a control group loses CPUs. No task is lost, no worker ends,
// and pools that are made then use what is left.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iterator>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "remuda/error.hpp"
#include "remuda/process_pool.hpp"
#include "remuda/thread_pool.hpp"
#include "remuda/topology.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/vm/guest/kernel.hpp"

namespace remuda::vm {
namespace {

using set = std::set<unsigned>;

unsigned all_cpus() { return static_cast<unsigned>(machine::get().cpus.size()); }

int twice(int i) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
  while (std::chrono::steady_clock::now() < end) {
  }
  return 2 * i;
}

/// Submits tasks and takes their results for as long as it lives.
template <class Pool>
class load {
 public:
  explicit load(Pool& pool) : thread_([this, &pool] { run(pool); }) {}
  ~load() { stop(); }
  load(const load&) = delete;
  load& operator=(const load&) = delete;

  /// Waits until many more tasks have come back, of those submitted before and after this call.
  testing::AssertionResult goes_on() const {
    const int then = back_ + 8 * wave;
    return test::eventually([&] { return back_ >= then || wrong_ != 0; });
  }

  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  /// After stop(): every task has come back with its own result.
  void expect_none_lost() const {
    EXPECT_EQ(wrong_, 0);
    EXPECT_EQ(back_, submitted_);
    EXPECT_GT(submitted_, 0);
  }

 private:
  static constexpr int wave = 64;

  void run(Pool& pool) {
    while (!stop_) {
      std::vector<future<int>> results;
      for (int i = 0; i < wave; ++i) results.push_back(pool.submit(&twice, submitted_++));
      const int first = submitted_ - wave;
      for (int i = 0; i < wave; ++i) {
        try {
          if (results[static_cast<std::size_t>(i)].get_for(test::generous) != 2 * (first + i)) ++wrong_;
          ++back_;
        } catch (const std::exception& e) {
          ++wrong_;
          ADD_FAILURE() << "task " << first + i << ": " << e.what();
          return;
        }
      }
    }
  }

  int submitted_ = 0;
  std::atomic<int> back_{0};
  std::atomic<int> wrong_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Every worker takes a task, at the same time.
void expect_all_work(thread_pool& pool) {
  const auto every = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(pool.size()));
  std::vector<future<bool>> tasks;
  for (unsigned i = 0; i < pool.size(); ++i) {
    tasks.push_back(pool.submit([every] {
      every->count_down();
      return bool(test::eventually([&] { return every->try_wait(); }));
    }));
  }
  for (const auto& task : tasks) EXPECT_TRUE(task.get_for(test::for_ever)) << "some worker takes no task";
}

/// Every worker process has run tasks since, and is the one that it was.
void expect_all_work(process_pool& pool, const std::vector<pid_t>& processes, unsigned died = 0) {
  const auto before = pool.stats();
  EXPECT_TRUE(test::eventually([&] {
    const test::file_gate gate;  // while one is held the other workers get the next ones
    std::vector<future<void>> results;
    for (unsigned i = 0; i < pool.size(); ++i) results.push_back(pool.submit(&test::file_gate::wait, gate.path()));
    gate.open();
    for (const auto& result : results) EXPECT_NO_THROW(result.get_for(test::generous));
    const auto now = pool.stats();
    for (std::size_t w = 0; w < now.workers.size(); ++w) {
      if (now.workers[w].run == before.workers[w].run) return false;
    }
    return true;
  })) << "some worker takes no task";
  EXPECT_EQ(test::processes_of(pool), processes);
  EXPECT_EQ(pool.stats().died, died);
}

/// The CPUs that go: all of the last node, and one of the first core of those that stay. The first CPU cannot go.
std::vector<unsigned> cpus_to_lose() {
  const machine& m = machine::get();
  const set last = m.cpus_of(*m.nodes.rbegin());
  std::vector<unsigned> cpus(last.begin(), last.end());
  cpus.push_back(*std::next(m.cpus.begin()));
  return cpus;
}

TEST(Offline, CpusThatGoAndComeLoseNoTaskOfAThreadPool) {
  thread_pool pool(all_cpus());
  load<thread_pool> tasks(pool);
  ASSERT_TRUE(tasks.goes_on());
  std::vector<std::unique_ptr<offline>> gone;
  for (const unsigned cpu : cpus_to_lose()) {
    gone.push_back(std::make_unique<offline>(cpu));
    ASSERT_TRUE(tasks.goes_on()) << "without CPU " << cpu;
  }
  while (!gone.empty()) {
    gone.pop_back();
    ASSERT_TRUE(tasks.goes_on()) << "with " << gone.size() << " CPUs gone";
  }
  tasks.stop();
  tasks.expect_none_lost();
  expect_all_work(pool);
}

TEST(Offline, CpusThatGoAndComeLoseNoTaskOfAProcessPool) {
  process_pool pool(test::with_workers(all_cpus()));
  const auto processes = test::processes_of(pool);
  load<process_pool> tasks(pool);
  ASSERT_TRUE(tasks.goes_on());
  std::vector<std::unique_ptr<offline>> gone;
  for (const unsigned cpu : cpus_to_lose()) {
    gone.push_back(std::make_unique<offline>(cpu));
    ASSERT_TRUE(tasks.goes_on()) << "without CPU " << cpu;
  }
  while (!gone.empty()) {
    gone.pop_back();
    ASSERT_TRUE(tasks.goes_on()) << "with " << gone.size() << " CPUs gone";
  }
  tasks.stop();
  tasks.expect_none_lost();
  expect_all_work(pool, processes);
}

TEST(Offline, WorkersThatSleptMeanwhileWork) {
  thread_pool threads(all_cpus());
  process_pool processes(test::with_workers(all_cpus()));
  const auto pids = test::processes_of(processes);
  expect_all_work(threads);
  {
    const offline one(cpus_to_lose().front());
    const offline other(cpus_to_lose().back());
    expect_all_work(threads);
    expect_all_work(processes, pids);
  }
  expect_all_work(threads);
  expect_all_work(processes, pids);
}

TEST(Offline, PoolsMadeMeanwhileUseTheCpusThatAreLeft) {
  const unsigned lost = cpus_to_lose().front();
  const offline one(lost);
  set left = machine::get().cpus;
  left.erase(lost);
  EXPECT_EQ(detect_topology().usable(), left.size());
  thread_pool threads;
  process_pool processes;
  set threads_on;
  set processes_on;
  for (const auto& w : threads.stats().workers) threads_on.insert(static_cast<unsigned>(w.cpu));
  for (const auto& w : processes.stats().workers) processes_on.insert(static_cast<unsigned>(w.cpu));
  EXPECT_EQ(threads_on, left);
  EXPECT_EQ(processes_on, left);
  expect_all_work(threads);
}

TEST(Offline, AProcessWhoseCpuIsGoneIsReplaced) {
  process_pool pool(test::with_workers(all_cpus()));
  const auto before = test::processes_of(pool);
  const auto stats = pool.stats();
  const unsigned lost = cpus_to_lose().front();
  const offline one(lost);
  for (std::size_t w = 0; w < before.size(); ++w) {
    if (static_cast<unsigned>(stats.workers[w].cpu) != lost) continue;
    ASSERT_EQ(kill(before[w], SIGKILL), 0);
    ASSERT_TRUE(test::eventually([&] { return pool.stats().workers[w].replaced == 1; }));
    ASSERT_NE(test::processes_of(pool)[w], before[w]);
    expect_all_work(pool, test::processes_of(pool), 1);
  }
}

set first_node_cpus() { return machine::get().cpus_of(*machine::get().nodes.begin()); }

TEST(Cpuset, NarrowedAndWidenedLosesNoTaskOfAThreadPool) {
  const own_group group;
  thread_pool pool(all_cpus());
  load<thread_pool> tasks(pool);
  ASSERT_TRUE(tasks.goes_on());
  for (const set& some : {first_node_cpus(), set{*machine::get().cpus.rbegin()}, machine::get().cpus}) {
    own_group::set("cpuset.cpus", format_list(some));
    for (unsigned w = 0; w < pool.size(); ++w) {
      for (const pid_t thread : threads_named("remuda/" + std::to_string(w))) {
        const set now = allowed_cpus(thread);
        EXPECT_TRUE(std::includes(some.begin(), some.end(), now.begin(), now.end())) << format_list(now);
      }
    }
    ASSERT_TRUE(tasks.goes_on()) << "within CPUs " << format_list(some);
  }
  tasks.stop();
  tasks.expect_none_lost();
  expect_all_work(pool);
}

TEST(Cpuset, NarrowedAndWidenedLosesNoTaskOfAProcessPool) {
  const own_group group;
  process_pool pool(test::with_workers(all_cpus()));
  const auto processes = test::processes_of(pool);
  load<process_pool> tasks(pool);
  ASSERT_TRUE(tasks.goes_on());
  for (const set& some : {first_node_cpus(), set{*machine::get().cpus.rbegin()}, machine::get().cpus}) {
    own_group::set("cpuset.cpus", format_list(some));
    for (const pid_t process : processes) {
      const set now = allowed_cpus(process);
      EXPECT_TRUE(std::includes(some.begin(), some.end(), now.begin(), now.end())) << format_list(now);
    }
    ASSERT_TRUE(tasks.goes_on()) << "within CPUs " << format_list(some);
  }
  tasks.stop();
  tasks.expect_none_lost();
  expect_all_work(pool, processes);
}

TEST(Cpuset, PoolsMadeInsideStayInside) {
  const own_group group;
  const set some = first_node_cpus();
  own_group::set("cpuset.cpus", format_list(some));
  const thread_pool threads;
  const process_pool processes;
  for (const auto& w : threads.stats().workers) EXPECT_TRUE(some.contains(static_cast<unsigned>(w.cpu))) << w.cpu;
  for (const auto& w : processes.stats().workers) EXPECT_TRUE(some.contains(static_cast<unsigned>(w.cpu))) << w.cpu;
  EXPECT_EQ(threads.size(), some.size());
  EXPECT_EQ(processes.size(), some.size());
}

TEST(Quota, OfTheGroupBoundsTheWorkers) {
  const own_group group;
  const std::pair<const char*, unsigned> cases[] = {{"250000 100000", 2}, {"50000 100000", 1}, {"max", all_cpus()}};
  for (const auto& [quota, workers] : cases) {
    own_group::set("cpu.max", quota);
    EXPECT_EQ(thread_pool().size(), workers) << quota;
  }
}

}  // namespace
}  // namespace remuda::vm
