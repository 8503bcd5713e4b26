// How a pool comes to be: on whose behalf, with what it is given, and that nothing stays where it does not.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/os/pidfd.hpp"
#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using remuda::start_method;
using remuda::test::children_of;
using remuda::test::eventually;
using remuda::test::generous;
using remuda::test::parent_of;
using remuda::test::processes_of;
using remuda::test::with_workers;

int twice(int n) { return 2 * n; }

class ProcessPoolStart : public testing::TestWithParam<start_method> {};

INSTANTIATE_TEST_SUITE_P(, ProcessPoolStart, testing::Values(start_method::zygote, start_method::fork),
                         [](const auto& p) { return p.param == start_method::fork ? "fork" : "zygote"; });

TEST_P(ProcessPoolStart, P22_AKilledParentLeavesNobodyAlsoWhenItsZygoteIsStopped) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // what is left becomes a child of this process
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    remuda::process_pool pool(with_workers(2, GetParam()));
    const auto workers = processes_of(pool);
    const std::array<pid_t, 3> all{parent_of(workers.at(0)), workers.at(0), workers.at(1)};
    [[maybe_unused]] const ssize_t n = write(ends[1], all.data(), sizeof all);
    for (;;) pause();
  }
  std::array<pid_t, 3> all{};
  ASSERT_EQ(read(ends[0], all.data(), sizeof all), static_cast<ssize_t>(sizeof all));
  std::vector<remuda::os::unique_fd> watched;
  for (const pid_t p : all) watched.push_back(remuda::os::pidfd_open(p));
  ASSERT_EQ(::kill(all[0], SIGSTOP), 0);
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  for (const auto& w : watched) EXPECT_TRUE(remuda::os::wait_until_ended(w.get(), generous));
  ::kill(all[0], SIGKILL);  // where it failed
  EXPECT_TRUE(eventually([] {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return errno == ECHILD;
  }));
  EXPECT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
  close(ends[0]);
  close(ends[1]);
}

// The kernel's signal at the end of a parent means the thread that started the child.
TEST_P(ProcessPoolStart, P24_OutlivesTheThreadThatMadeIt) {
  std::optional<remuda::process_pool> pool;
  pid_t maker = 0;
  std::thread([&] {
    maker = gettid();
    pool.emplace(with_workers(2, GetParam()));
  }).join();
  ASSERT_TRUE(eventually([&] { return !remuda::test::is_thread(maker); }));
  const auto before = processes_of(*pool);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool->submit(twice, i).get(), 2 * i);
  EXPECT_EQ(processes_of(*pool), before);
  EXPECT_EQ(pool->stats().died, 0U);
}

TEST_P(ProcessPoolStart, P16_WorkersHaveTheAffinityOfTheThreadThatMadeThem) {
  cpu_set_t usable;
  ASSERT_EQ(sched_getaffinity(0, sizeof usable, &usable), 0);
  int last = -1;
  for (int c = 0; c < CPU_SETSIZE; ++c) {
    if (CPU_ISSET(c, &usable)) last = c;
  }
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    auto options = with_workers(2, GetParam());
    options.pin = false;
    const remuda::process_pool pool(options);
    for (const pid_t p : processes_of(pool)) {
      cpu_set_t its;
      ASSERT_EQ(sched_getaffinity(p, sizeof its, &its), 0);
      EXPECT_TRUE(CPU_EQUAL(&its, &one));
    }
  }).join();
}

int prepared = 0;
void prepare(int n) { prepared = n; }
int how_prepared() { return prepared; }

// The zygote keeps a process for the next worker, which becomes one as any other does.
TEST_P(ProcessPoolStart, P27_AReplacementOutOfTheReserveIsAWorkerLikeAnyOther) {
  auto options = with_workers(1, GetParam());
  options.initializer = remuda::remote_call(prepare, 17);
  options.limits.open_files = 50;
  options.harden = true;
  remuda::process_pool pool(options);
  for (int round = 0; round < 3; ++round) {
    const pid_t worker = processes_of(pool).at(0);
    const pid_t zygote = parent_of(worker);
    pid_t reserve = -1;
    ASSERT_TRUE(eventually([&] {
      for (const pid_t p : children_of(zygote)) {
        if (remuda::test::is_waiting_in_reserve(p)) reserve = p;
      }
      return reserve > 0;
    }));
    EXPECT_EQ(children_of(zygote).size(), 2U);
    ASSERT_EQ(::kill(worker, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return pool.stats().died == static_cast<std::uint64_t>(round) + 1; }));
    EXPECT_EQ(pool.submit([] { return getpid(); }).get(), reserve);
    EXPECT_EQ(pool.submit(how_prepared).get(), 17);
    EXPECT_EQ(pool.submit([] {
                    rlimit limit{};
                    getrlimit(RLIMIT_NOFILE, &limit);
                    return static_cast<int>(limit.rlim_cur);
                  })
                  .get(),
              50);
    EXPECT_EQ(pool.submit([] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }).get(), 1);
    EXPECT_EQ(pool.submit([] {
                    int signal = 0;
                    prctl(PR_GET_PDEATHSIG, &signal);
                    return signal;
                  })
                  .get(),
              SIGKILL);
  }
}

/// The system's error in an exception or in what caused it; 0: there is none.
int error_code_in(const std::exception& e) {
  if (const auto* const system = dynamic_cast<const std::system_error*>(&e)) return system->code().value();
  try {
    std::rethrow_if_nested(e);
  } catch (const std::exception& cause) {
    return error_code_in(cause);
  }
  return 0;
}

// Wherever in the start the descriptors run out.
TEST_P(ProcessPoolStart, P29_OutOfDescriptorsItSaysSoAndLeavesNothing) {
  { const remuda::process_pool first(with_workers(2, GetParam())); }  // what is made once and kept
  const auto before = remuda::test::descriptors();
  rlimit normal{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &normal), 0);
  int failed = 0;
  bool started = false;
  for (rlim_t few = before.size(); !started && few < before.size() + 60; ++few) {
    const rlimit limit{few, normal.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    try {
      const remuda::process_pool pool(with_workers(2, GetParam()));
      started = true;
    } catch (const std::exception& e) {
      setrlimit(RLIMIT_NOFILE, &normal);
      EXPECT_EQ(error_code_in(e), EMFILE) << few << ": " << e.what();
      EXPECT_NE(std::string(e.what()).find("Too many open files"), std::string::npos) << few << ": " << e.what();
      ++failed;
    }
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &normal), 0);
    ASSERT_EQ(remuda::test::descriptors(), before) << few;
    ASSERT_TRUE(children_of(getpid()).empty()) << few;
  }
  EXPECT_TRUE(started);
  EXPECT_GT(failed, 10);
}

}  // namespace
