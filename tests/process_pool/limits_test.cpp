// Bounds for each worker: on its tasks, and on what they may take from the machine.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/process_pool.hpp"
#include "tests/support/sanitizer.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::death_of;
using remuda::test::eventually;
using remuda::test::processes_of;
using remuda::test::with_workers;

constexpr std::size_t mib = std::size_t{1} << 20;

pid_t who() { return getpid(); }

remuda::process_pool_options with_limits(unsigned workers, remuda::worker_limits limits) {
  auto options = with_workers(workers);
  options.limits = limits;
  return options;
}

TEST(Promise28MaxTasks, TheProcessChangesAfterExactlySoMany) {
  auto options = with_workers(1);
  options.max_tasks_per_worker = 5;
  remuda::process_pool pool{options};
  std::vector<remuda::future<pid_t>> all;
  for (int i = 0; i < 28; ++i) all.push_back(pool.submit(who));
  std::vector<std::pair<pid_t, int>> runs;
  for (const auto& f : all) {
    if (runs.empty() || runs.back().first != f.get()) runs.emplace_back(f.get(), 0);
    ++runs.back().second;
  }
  ASSERT_EQ(runs.size(), 6U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(runs[i].second, 5) << i;
  EXPECT_EQ(runs[5].second, 3);
  EXPECT_EQ(pool.stats().died, 0U);
  EXPECT_EQ(pool.stats().workers.at(0).run, 28U);
  EXPECT_GE(pool.stats().workers.at(0).replaced, 5U);
}

TEST(Promise28MaxTasks, NoneIsLostOrRunTwiceOnSeveralWorkers) {
  auto options = with_workers(3);
  options.max_tasks_per_worker = 7;
  remuda::process_pool pool{options};
  const remuda::test::shared_count runs;
  std::vector<remuda::future<pid_t>> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(pool.submit(
        [](const std::string& count) {
          remuda::test::shared_count::add(count);
          return getpid();
        },
        runs.path()));
  }
  std::map<pid_t, int> by_process;
  for (const auto& f : all) ++by_process[f.get()];
  for (const auto& [process, tasks] : by_process) EXPECT_LE(tasks, 7);
  EXPECT_EQ(runs.value(), 300);
  EXPECT_EQ(pool.stats().died, 0U);
}

TEST(Promise28MaxTasks, TasksThatThrowCount) {
  auto options = with_workers(1);
  options.max_tasks_per_worker = 2;
  remuda::process_pool pool{options};
  std::set<pid_t> processes;
  for (int i = 0; i < 4; ++i) {
    processes.insert(pool.submit(who).get());
    EXPECT_THROW(pool.submit([] { throw std::out_of_range("thrown"); }).get(), std::out_of_range);
  }
  EXPECT_EQ(processes.size(), 4U);
}

TEST(Promise28MaxTasks, WithShutdownAtOnceEverythingRuns) {
  auto options = with_workers(2);
  options.max_tasks_per_worker = 1;
  std::vector<remuda::future<int>> all;
  {
    remuda::process_pool pool{options};
    for (int i = 0; i < 30; ++i) all.push_back(pool.submit([](int n) { return n; }, i));
  }
  for (int i = 0; i < 30; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), i);
}

/// Takes memory until there is none; the pages are not touched.
std::size_t take_memory(std::size_t at_most) {
  std::vector<std::unique_ptr<char[]>> all;
  std::size_t taken = 0;
  for (; taken < at_most; taken += 16 * mib) all.push_back(std::make_unique_for_overwrite<char[]>(16 * mib));
  return taken;
}

TEST(Promise28Memory, TooMuchOfItFailsTheTaskAlone) {
  remuda::process_pool pool{with_limits(1, {.memory = 256 * mib})};
  const pid_t before = processes_of(pool).at(0);
  EXPECT_EQ(pool.submit(take_memory, 64 * mib).get(), 64 * mib);
  const auto greedy = pool.submit(take_memory, 1024 * mib);
#ifdef REMUDA_TEST_SANITIZER_HEAP  // whose operator new ends the process
  EXPECT_THROW(greedy.get(), remuda::worker_died);
#else
  EXPECT_THROW(greedy.get(), std::bad_alloc);
  EXPECT_EQ(pool.submit(who).get(), before) << "the worker goes on";
#endif
  EXPECT_EQ(pool.submit(take_memory, 64 * mib).get(), 64 * mib);
  EXPECT_GT(before, 0);
}

TEST(Promise28Memory, HoldsInReplacementsToo) {
  remuda::process_pool pool{with_limits(1, {.memory = 256 * mib})};
  death_of(pool.submit([] { std::abort(); }));
  const auto greedy = pool.submit(take_memory, 1024 * mib);
  try {
    greedy.get();
    ADD_FAILURE() << "it got it";
  } catch (const std::bad_alloc&) {
  } catch (const remuda::worker_died&) {
  }
}

TEST(Promise28Memory, WithTheInitializerPastItTheConstructorThrows) {
  auto options = with_limits(2, {.memory = 64 * mib});
  options.max_deaths_in_a_row = 3;
  options.initializer = remuda::remote_call([] { take_memory(256 * mib); });
  try {
    remuda::process_pool pool{options};
    ADD_FAILURE() << "it got it";
  } catch (const std::bad_alloc&) {
  } catch (const remuda::broken_pool_error& e) {  // where operator new ends the process
    EXPECT_NE(std::string(e.what()).find("while it started"), std::string::npos) << e.what();
  }
}

TEST(Promise28Memory, TheSmallestLimitLeavesAWorkerThatAnswers) {
  auto options = with_limits(1, {.memory = 1});
  options.max_deaths_in_a_row = 3;
  try {
    remuda::process_pool pool{options};
    // what is there at the start is not the tasks', and a small task needs no more
    EXPECT_EQ(pool.submit([](int n) { return 2 * n; }, 4).get(), 8);
  } catch (const remuda::broken_pool_error& e) {  // a sanitizer's own bookkeeping may need more
    EXPECT_NE(std::string(e.what()).find("died in a row"), std::string::npos) << e.what();
  } catch (const remuda::worker_died&) {
  }
}

TEST(Promise28CpuTime, ASpinningTaskEndsAndThePoolGoesOn) {
  remuda::process_pool pool{with_limits(1, {.cpu_time = 1s})};
  const auto spinning = pool.submit([] {
    for (volatile unsigned turns = 0;;) turns = turns + 1;
  });
  const auto signal = death_of(spinning).signal();
  EXPECT_TRUE(signal == SIGXCPU || signal == SIGKILL) << signal.value_or(0);
  EXPECT_EQ(pool.submit([](int n) { return 2 * n; }, 4).get(), 8);
}

TEST(Promise28CpuTime, WaitingIsNoCpuTime) {
  remuda::process_pool pool{with_limits(1, {.cpu_time = 1s})};
  const pid_t before = processes_of(pool).at(0);
  pool.submit([] { std::this_thread::sleep_for(1500ms); }).get();
  EXPECT_EQ(pool.submit(who).get(), before);
}

/// The number of the descriptor at which open() failed for want of descriptors; -1: another error.
int open_until_it_fails() {
  int opened = 0;
  std::vector<int> all;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0; ++opened) all.push_back(fd);
  const bool no_more = errno == EMFILE;
  for (const int fd : all) close(fd);
  return no_more ? opened : -1;
}

TEST(Promise28OpenFiles, EndAtTheLimitAndTheWorkerGoesOn) {
  remuda::process_pool pool{with_limits(1, {.open_files = 30})};
  const pid_t before = processes_of(pool).at(0);
  const int opened = pool.submit(open_until_it_fails).get();
  EXPECT_GT(opened, 5);
  EXPECT_LE(opened, 27);  // the standard ones are open
  EXPECT_EQ(pool.submit(who).get(), before);
}

TEST(Promise28OpenFiles, TheSmallestLimitLeavesAWorkerThatAnswers) {
  remuda::process_pool pool{with_limits(2, {.open_files = 1})};
  EXPECT_EQ(pool.submit(open_until_it_fails).get(), 0);
  // a worker needs none for large payloads, output, and its end
  const std::string large(3 * mib, 'x');
  EXPECT_EQ(pool.submit([](std::string s) { return s; }, large).get(), large);
  death_of(pool.submit([] { std::abort(); }));
  EXPECT_EQ(pool.submit([](int n) { return 2 * n; }, 4).get(), 8);
}

void leak(std::size_t bytes) {
  auto* const p = static_cast<volatile char*>(std::malloc(bytes));
  if (p == nullptr) throw std::bad_alloc();
  for (std::size_t i = 0; i < bytes; i += 4096) p[i] = 1;
}

TEST(Promise28Resident, AWorkerThatHasGrownIsReplacedAndNoTaskIsLost) {
  // what the program takes by itself is far more under a sanitizer
  remuda::process_pool probe{1};
  const auto at_start = probe
                            .submit([] {
                              std::FILE* const f = std::fopen("/proc/self/statm", "re");
                              unsigned long total = 0, resident = 0;
                              const int read = std::fscanf(f, "%lu %lu", &total, &resident);
                              std::fclose(f);
                              return read == 2 ? resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
                            })
                            .get();
  ASSERT_GT(at_start, 0U);
  remuda::process_pool pool{with_limits(1, {.resident = at_start + 56 * mib})};
  const pid_t first = pool.submit(who).get();
  std::vector<remuda::future<void>> leaking;
  std::vector<remuda::future<pid_t>> between;
  for (int i = 0; i < 10; ++i) {
    leaking.push_back(pool.submit(leak, 16 * mib));
    between.push_back(pool.submit(who));
  }
  for (const auto& f : leaking) f.get();
  std::set<pid_t> processes{first};
  for (const auto& f : between) processes.insert(f.get());
  EXPECT_GE(processes.size(), 2U) << "nobody was replaced";
  EXPECT_LE(processes.size(), 6U) << "replaced below the bound";
  EXPECT_EQ(between.front().get(), first);
  EXPECT_EQ(pool.stats().died, 0U);
}

TEST(Promise28Resident, ABoundThatEveryWorkerIsAboveLeavesOneTaskToEach) {
  remuda::process_pool pool{with_limits(2, {.resident = 1})};
  std::vector<remuda::future<int>> all;
  for (int i = 0; i < 20; ++i) all.push_back(pool.submit([](int n) { return 2 * n; }, i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 2 * i);
  EXPECT_EQ(pool.stats().died, 0U);
}

}  // namespace
