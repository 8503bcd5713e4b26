// Workers that die cost the task that ran, and nothing else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/process_pool.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::children_of;
using remuda::test::death_of;
using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::parent_of;
using remuda::test::processes_of;
using remuda::test::with_workers;

int twice(int n) { return 2 * n; }
void sleep_long() { std::this_thread::sleep_for(1h); }

void throw_where_nothing_may() noexcept {
  const auto raise_error = [] { throw std::runtime_error("nobody catches this"); };
  raise_error();
}

int use_stack(volatile char* above, int depth) {
  volatile char here[4096];
  here[0] = static_cast<char>(above[0] + 1);
  if (depth == 0) return here[0];
  return use_stack(here, depth - 1) + here[0];
}

void overflow_the_stack() {
  volatile char first = 0;
  use_stack(&first, 1'000'000'000);
}

struct ending {
  const char* name;
  void (*die)();
  std::optional<int> exit_code;
  std::optional<int> signal;
};

class Promise25Endings : public testing::TestWithParam<ending> {};

INSTANTIATE_TEST_SUITE_P(, Promise25Endings,
                         testing::Values(ending{"segv", [] { std::raise(SIGSEGV); }, {}, SIGSEGV},
                                         ending{"kill", [] { std::raise(SIGKILL); }, {}, SIGKILL},
                                         ending{"exit_at_once", [] { _exit(3); }, 3, {}},  //
                                         ending{"exit_at_once_0", [] { _exit(0); }, 0, {}},
                                         ending{"exit", [] { std::exit(4); }, 4, {}},  //
                                         ending{"abort", [] { std::abort(); }, {}, SIGABRT},
                                         ending{"terminate", [] { throw_where_nothing_may(); }, {}, SIGABRT},
                                         ending{"stack_overflow", [] { overflow_the_stack(); }, {}, SIGSEGV}),
                         [](const auto& p) { return p.param.name; });

TEST_P(Promise25Endings, CostsTheTaskThatRanAndNoOther) {
  remuda::process_pool pool{2};
  const auto before = processes_of(pool);
  constexpr int each = 20;
  std::vector<remuda::future<int>> others;
  for (int i = 0; i < each; ++i) others.push_back(pool.submit(twice, i));
  const auto dead = pool.submit(GetParam().die);
  for (int i = each; i < 2 * each; ++i) others.push_back(pool.submit(twice, i));

  const remuda::worker_died death = death_of(dead);
  EXPECT_EQ(death.exit_code(), GetParam().exit_code);
  EXPECT_EQ(death.signal(), GetParam().signal);
  EXPECT_EQ(death.task_id(), each + 1U);
  for (int i = 0; i < 2 * each; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), 2 * i);

  const auto after = processes_of(pool);
  EXPECT_EQ((before[0] != after[0]) + (before[1] != after[1]), 1);
  EXPECT_EQ(pool.stats().died, 1U);
  EXPECT_EQ(pool.submit(twice, 4).get(), 8);
}

TEST(Promise25Deaths, OfAnIdleWorkerCostsNothing) {
  remuda::process_pool pool{2};
  const pid_t victim = processes_of(pool).at(0);
  ASSERT_EQ(::kill(victim, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return pool.stats().died == 1; }));
  EXPECT_NE(processes_of(pool).at(0), victim);
  std::vector<remuda::future<int>> all;
  for (int i = 0; i < 50; ++i) all.push_back(pool.submit(twice, i));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 2 * i);
}

TEST(Promise25Deaths, OfAWorkerOfAPoolThatPolls) {
  remuda::process_pool_options options;
  options.workers = 1;
  options.policy = remuda::wait_policy::busy_poll;
  remuda::process_pool pool(options);
  for (int round = 0; round < 3; ++round) {
    const auto running = pool.submit(sleep_long);
    ASSERT_TRUE(eventually([&] { return running.running(); }));
    ASSERT_EQ(::kill(processes_of(pool).at(0), SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return running.done(); }));
    EXPECT_EQ(death_of(running).signal(), SIGKILL);
    EXPECT_EQ(pool.submit(twice, 4).get(), 8);
  }
}

struct belongings {
  std::ptrdiff_t descriptors, segments, children, descriptors_of_zygote, children_of_zygote;
  bool operator==(const belongings&) const = default;
};

std::ptrdiff_t descriptors_of(pid_t process) {
  return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd"),
                       std::filesystem::directory_iterator());
}

std::vector<std::string> mappings() {
  std::ifstream in("/proc/self/maps");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

belongings belongings_of(const remuda::process_pool& pool) {
  const pid_t zygote = parent_of(processes_of(pool).at(0));
  const auto lines = mappings();
  const auto segments =
      std::count_if(lines.begin(), lines.end(), [](const auto& l) { return l.find("memfd:") != std::string::npos; });
  return {descriptors_of(getpid()), segments, std::ssize(children_of(getpid())), descriptors_of(zygote),
          std::ssize(children_of(zygote))};
}

/// What there is when nothing is under way: while the zygote makes its reserve, or a new worker comes up, one of the
/// counts may differ for a moment. Many readings in a row must be the same, with both workers and the reserve there.
testing::AssertionResult settles(const remuda::process_pool& pool, belongings& last) {
  int same = 0;
  return eventually([&] {
    const belongings now = belongings_of(pool);
    same = now == last && now.children_of_zygote == 3 ? same + 1 : 0;
    last = now;
    return same == 50;
  });
}

TEST(Promise25Deaths, LeaveNoChildDescriptorOrMapping) {
  remuda::process_pool pool{2};
  const auto die = [&] { EXPECT_EQ(death_of(pool.submit([] { std::abort(); })).signal(), SIGABRT); };
  const auto work = [&] { EXPECT_EQ(pool.submit(twice, 2).get(), 4); };
  for (int i = 0; i < 5; ++i) die(), work();  // what is made once and kept
  belongings before{};
  ASSERT_TRUE(settles(pool, before));
  const auto mapped = mappings().size();
  for (int i = 0; i < 50; ++i) die(), work();
  belongings after{};
  ASSERT_TRUE(settles(pool, after));
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_EQ(after.segments, before.segments);
  EXPECT_EQ(after.children, before.children);
  EXPECT_EQ(after.descriptors_of_zygote, before.descriptors_of_zygote);
  EXPECT_LT(mappings().size(), mapped + 25);  // the allocator may have taken more, but not for each death
  EXPECT_EQ(pool.stats().died, 55U);
}

TEST(Promise25Deaths, OfAllWorkersAtOnce) {
  remuda::process_pool pool{4};
  std::vector<remuda::future<void>> running;
  std::vector<remuda::future<int>> behind;
  for (int i = 0; i < 4; ++i) running.push_back(pool.submit(sleep_long));
  ASSERT_TRUE(eventually(
      [&] { return std::all_of(running.begin(), running.end(), [](const auto& f) { return f.running(); }); }));
  for (int i = 0; i < 100; ++i) behind.push_back(pool.submit(twice, i));
  for (const pid_t p : processes_of(pool)) ASSERT_EQ(::kill(p, SIGKILL), 0);
  for (const auto& f : running) EXPECT_EQ(death_of(f).signal(), SIGKILL);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 2 * i);
}

TEST(Promise29Deaths, OfTheZygoteIsSurvived) {
  remuda::process_pool pool{2};
  for (int round = 0; round < 3; ++round) {
    const auto running = pool.submit(sleep_long);
    ASSERT_TRUE(eventually([&] { return running.running(); }));
    std::vector<remuda::future<int>> others;
    for (int i = 0; i < 100; ++i) others.push_back(pool.submit(twice, i));
    const pid_t zygote = parent_of(processes_of(pool).at(0));
    ASSERT_GT(zygote, 1);
    ASSERT_EQ(parent_of(zygote), getpid());
    ASSERT_EQ(::kill(zygote, SIGKILL), 0);
    EXPECT_EQ(death_of(running).signal(), SIGKILL);
    int lost = 0;  // the other worker may have had one under way
    for (int i = 0; i < 100; ++i) {
      const auto& f = others[static_cast<std::size_t>(i)];
      if (f.error() == nullptr) {
        EXPECT_EQ(f.get(), 2 * i);
      } else {
        EXPECT_EQ(death_of(f).signal(), SIGKILL);
        ++lost;
      }
    }
    EXPECT_LE(lost, 1);
    EXPECT_EQ(pool.submit(twice, 1).get(), 2);
    EXPECT_NE(parent_of(processes_of(pool).at(0)), zygote);
    EXPECT_EQ(children_of(getpid()).size(), 1U);
  }
}

// More workers die with it than may die in a row, and than a task may find dead.
TEST(Promise29Deaths, OfTheZygoteWithManyWorkersCostsNoTaskThatHasNotBegun) {
  auto options = with_workers(10);
  options.max_deaths_in_a_row = 4;
  std::atomic<bool> held{false};
  remuda::process_pool pool{options};
  const auto workers = processes_of(pool);
  const file_gate gate;
  const file_gate all_are_dead;  // keeps the pool's own thread from noticing
  pool.submit(file_gate::wait, gate.path()).on_done([&held, path = all_are_dead.path()](const auto&) {
    held = true;
    file_gate::wait(path);
  });
  gate.open();
  ASSERT_TRUE(eventually([&] { return held.load(); }));
  ASSERT_EQ(::kill(parent_of(workers.front()), SIGKILL), 0);
  EXPECT_TRUE(eventually([&] {
    return std::all_of(workers.begin(), workers.end(), [](pid_t p) {
      const char state = remuda::test::state_of(p);
      return state == 'Z' || state == 0;
    });
  }));
  const auto late = pool.submit(twice, 4);
  all_are_dead.open();
  EXPECT_EQ(late.get(), 8);
  EXPECT_TRUE(eventually([&] { return pool.stats().died == 10; }));
  EXPECT_EQ(pool.submit(twice, 1).get(), 2);
}

TEST(Promise25Deaths, InARowBreakThePool) {
  auto options = with_workers(1);
  options.max_deaths_in_a_row = 3;
  remuda::process_pool pool{options};
  std::vector<remuda::future<void>> dead;
  std::vector<remuda::future<int>> pending;
  const file_gate gate;  // until all are submitted, which a broken pool would refuse
  const auto first = pool.submit(file_gate::wait, gate.path());
  for (int i = 0; i < 3; ++i) dead.push_back(pool.submit([] { std::abort(); }));
  for (int i = 0; i < 10; ++i) pending.push_back(pool.submit(twice, i));
  gate.open();
  EXPECT_NO_THROW(first.get());
  for (const auto& f : dead) EXPECT_EQ(death_of(f).signal(), SIGABRT);
  for (const auto& f : pending) {
    EXPECT_NE(remuda::test::text_of<remuda::broken_pool_error>(f).find("3 workers died in a row"), std::string::npos);
  }
  EXPECT_THROW(pool.submit(twice, 1), remuda::broken_pool_error);
  EXPECT_THROW(pool.post(twice, 1), remuda::broken_pool_error);
  pool.shutdown();
  EXPECT_TRUE(children_of(getpid()).empty());
}

TEST(Promise25Deaths, WithFinishedTasksBetweenThemDoNotBreakThePool) {
  auto options = with_workers(1);
  options.max_deaths_in_a_row = 2;
  remuda::process_pool pool{options};
  for (int i = 0; i < 6; ++i) {
    death_of(pool.submit([] { std::abort(); }));
    EXPECT_EQ(pool.submit(twice, i).get(), 2 * i);
  }
}

TEST(Promise29Deaths, DuringShutdownTheRestStillRuns) {
  remuda::process_pool pool{1};
  const auto dead = pool.submit([] {
    std::this_thread::sleep_for(20ms);
    std::abort();
  });
  std::vector<remuda::future<int>> others;
  for (int i = 0; i < 20; ++i) others.push_back(pool.submit(twice, i));
  pool.shutdown();
  ASSERT_TRUE(dead.done());
  EXPECT_EQ(death_of(dead).signal(), SIGABRT);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(others[static_cast<std::size_t>(i)].done());
    EXPECT_EQ(others[static_cast<std::size_t>(i)].get(), 2 * i);
  }
}

}  // namespace
