// A pool that is ended before its tasks are: terminate, kill, and that nothing is left of it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::children_of;
using remuda::test::descriptors;
using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::is_there;
using remuda::test::parent_of;
using remuda::test::processes_of;
using remuda::test::shared_count;
using remuda::test::thread_ids;
using remuda::test::with_workers;

int twice(int n) { return 2 * n; }
void sleep_long() { std::this_thread::sleep_for(1h); }

struct end {
  const char* name;
  void (*of)(remuda::process_pool&);
  int signal;
  const char* text;
};

const end terminated{"terminate", [](remuda::process_pool& p) { p.terminate(); }, SIGTERM, "terminated"};
const end killed{"kill", [](remuda::process_pool& p) { p.kill(); }, SIGKILL, "killed"};

class Promise30Ends : public testing::TestWithParam<end> {};

INSTANTIATE_TEST_SUITE_P(, Promise30Ends, testing::Values(terminated, killed),
                         [](const auto& p) { return p.param.name; });

TEST_P(Promise30Ends, WhatRunsAndWhatWaitsEndsWithAnError) {
  remuda::process_pool pool{2};
  const auto workers = processes_of(pool);
  std::vector<remuda::future<void>> running;
  for (int i = 0; i < 2; ++i) running.push_back(pool.submit(sleep_long));
  ASSERT_TRUE(eventually([&] { return running[0].running() && running[1].running(); }));
  // more than the rings hold, so that some wait in this process
  std::vector<remuda::future<int>> queued;
  for (int i = 0; i < 1000; ++i) queued.push_back(pool.submit(twice, i));
  std::atomic<int> called{0};
  for (auto& f : queued) f.on_done([&](const auto&) { ++called; });

  GetParam().of(pool);
  for (const auto& f : running) EXPECT_EQ(remuda::test::death_of(f).signal(), GetParam().signal);
  for (const auto& f : queued) {
    const std::string text = remuda::test::text_of<remuda::broken_pool_error>(f);
    ASSERT_NE(text.find(GetParam().text), std::string::npos) << text;
  }
  try {
    pool.submit(twice, 1);
    ADD_FAILURE() << "it takes tasks";
  } catch (const remuda::broken_pool_error& e) {
    EXPECT_NE(std::string(e.what()).find(GetParam().text), std::string::npos) << e.what();
  }
  EXPECT_THROW(pool.post(twice, 1), remuda::broken_pool_error);
  EXPECT_TRUE(eventually([&] { return std::none_of(workers.begin(), workers.end(), is_there); }));
  pool.shutdown();
  EXPECT_EQ(called, 1000);
  EXPECT_EQ(pool.stats().died, 0U) << "they were ended by plan";
  EXPECT_EQ(pool.stats().pending, 0U);
}

TEST_P(Promise30Ends, OnAPoolThatHasEndedItDoesNothing) {
  {
    remuda::process_pool pool{1};
    pool.shutdown();
    GetParam().of(pool);
    GetParam().of(pool);
    EXPECT_THROW(pool.submit(twice, 1), remuda::shutdown_error) << "the reason is still the first one";
  }
  remuda::process_pool pool{1};
  GetParam().of(pool);
  pool.shutdown();  // which of the two comes first to the pool's own thread is open
  for (const end& again : {terminated, killed}) again.of(pool);
  EXPECT_THROW(pool.submit(twice, 1), remuda::error);
  pool.shutdown();
}

TEST_P(Promise30Ends, OnABrokenPoolItDoesNothing) {
  auto options = with_workers(1);
  options.max_deaths_in_a_row = 1;
  remuda::process_pool pool{options};
  remuda::test::death_of(pool.submit([] { _exit(3); }));
  ASSERT_TRUE(eventually([&] {
    try {
      pool.submit(twice, 1);
      return false;
    } catch (const remuda::broken_pool_error&) {
      return true;
    }
  }));
  GetParam().of(pool);
  try {
    pool.submit(twice, 1);
    ADD_FAILURE() << "it takes tasks";
  } catch (const remuda::broken_pool_error& e) {
    EXPECT_NE(std::string(e.what()).find("exit code 3"), std::string::npos) << e.what();
  }
}

TEST_P(Promise30Ends, OfAnIdlePool) {
  remuda::process_pool pool{3};
  const auto workers = processes_of(pool);
  GetParam().of(pool);
  EXPECT_TRUE(eventually([&] { return std::none_of(workers.begin(), workers.end(), is_there); }));
}

TEST_P(Promise30Ends, InACallback) {
  remuda::process_pool pool{1};
  std::atomic<bool> returned{false};
  const auto first = pool.submit(twice, 1);
  first.on_done([&](const auto&) {
    GetParam().of(pool);
    returned = true;
  });
  pool.shutdown();
  EXPECT_EQ(first.get(), 2);
  EXPECT_TRUE(returned);
}

TEST_P(Promise30Ends, StoppedWorkersToo) {
  remuda::process_pool pool{2};
  const auto workers = processes_of(pool);
  std::vector<remuda::future<void>> running;
  for (int i = 0; i < 2; ++i) running.push_back(pool.submit([] { std::raise(SIGSTOP); }));
  for (const pid_t p : workers) {
    ASSERT_TRUE(eventually([p] { return remuda::test::state_of(p) == 'T'; }));
  }
  GetParam().of(pool);
  for (const auto& f : running) EXPECT_TRUE(remuda::test::death_of(f).signal().has_value());
  pool.shutdown();
  EXPECT_TRUE(std::none_of(workers.begin(), workers.end(), is_there));
}

TEST_P(Promise30Ends, ARunningTaskIsNotTriedAgain) {
  remuda::process_pool pool{1};
  const shared_count begun;
  const auto f = pool.submit(
      remuda::task_options{.retries = 5},
      [](const std::string& count) {
        shared_count::add(count);
        std::this_thread::sleep_for(1h);
      },
      begun.path());
  ASSERT_TRUE(eventually([&] { return begun.value() == 1; }));
  GetParam().of(pool);
  EXPECT_EQ(remuda::test::death_of(f).signal(), GetParam().signal);
  pool.shutdown();
  EXPECT_EQ(begun.value(), 1);
}

// Nobody tells of the deaths of its workers then.
TEST(Promise30Kill, AlsoWhenTheZygoteIsStopped) {
  remuda::process_pool pool{2};
  const pid_t zygote = parent_of(processes_of(pool).at(0));
  const auto running = pool.submit(sleep_long);
  ASSERT_TRUE(eventually([&] { return running.running(); }));
  ASSERT_EQ(::kill(zygote, SIGSTOP), 0);
  ASSERT_TRUE(eventually([zygote] { return remuda::test::state_of(zygote) == 'T'; }));
  pool.kill();
  if (!running.wait_for(20s)) {
    ADD_FAILURE() << "it waits for the zygote";
    ::kill(zygote, SIGCONT);
  }
  EXPECT_EQ(remuda::test::death_of(running).signal(), SIGKILL);
  pool.shutdown();
  EXPECT_FALSE(is_there(zygote));
}

TEST(Promise30Terminate, AHandlerMayCleanUp) {
  static std::string file;  // of the worker
  const shared_count cleaned;
  const shared_count begun;
  remuda::process_pool pool{1};
  const auto f = pool.submit(
      [](const std::string& when_begun, const std::string& when_cleaned) {
        file = when_cleaned;
        std::signal(SIGTERM, [](int) {
          shared_count::add(file);
          _exit(5);
        });
        shared_count::add(when_begun);
        std::this_thread::sleep_for(1h);
      },
      begun.path(), cleaned.path());
  ASSERT_TRUE(eventually([&] { return begun.value() == 1; }));
  pool.terminate();
  const remuda::worker_died death = remuda::test::death_of(f);
  if (death.signal() == SIGKILL) return;  // the machine took longer than the grace for it
  EXPECT_EQ(death.exit_code(), 5);
  EXPECT_EQ(cleaned.value(), 1);
}

TEST(Promise30Terminate, ATaskThatEndsInTheGraceHasItsResult) {
  const shared_count begun;
  remuda::process_pool pool{1};
  const file_gate gate;
  const auto f = pool.submit(
      [](const std::string& when_begun, const std::string& held_by) {
        std::signal(SIGTERM, SIG_IGN);
        shared_count::add(when_begun);
        file_gate::wait(held_by);
        return 17;
      },
      begun.path(), gate.path());
  ASSERT_TRUE(eventually([&] { return begun.value() == 1; }));
  const auto behind = pool.submit(twice, 1);
  pool.terminate();
  remuda::test::text_of<remuda::broken_pool_error>(behind);  // the pool has seen it
  gate.open();
  try {
    EXPECT_EQ(f.get(), 17);
  } catch (const remuda::worker_died& e) {  // the machine took longer than the grace for it
    EXPECT_EQ(e.signal(), SIGKILL);
  }
}

TEST(Promise30Terminate, WhoIgnoresItIsKilledInTheEnd) {
  const shared_count begun;
  remuda::process_pool pool{2};
  std::vector<remuda::future<void>> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(pool.submit(
        [](const std::string& count) {
          std::signal(SIGTERM, SIG_IGN);
          shared_count::add(count);
          for (;;) std::this_thread::sleep_for(1h);
        },
        begun.path()));
  }
  ASSERT_TRUE(eventually([&] { return begun.value() == 2; }));
  const auto before = std::chrono::steady_clock::now();
  pool.terminate();
  for (const auto& f : running) EXPECT_EQ(remuda::test::death_of(f).signal(), SIGKILL);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 1900ms) << "there was no grace";
}

TEST(Promise30Kill, EndsTheGraceOfTerminate) {
  // The machine may be slow: one try of several has to show it.
  for (int tries = 0; tries < 5; ++tries) {
    const shared_count begun;
    remuda::process_pool pool{1};
    const auto running = pool.submit(
        [](const std::string& count) {
          std::signal(SIGTERM, SIG_IGN);
          shared_count::add(count);
          for (;;) std::this_thread::sleep_for(1h);
        },
        begun.path());
    ASSERT_TRUE(eventually([&] { return begun.value() == 1; }));
    const auto behind = pool.submit(twice, 1);
    const auto before = std::chrono::steady_clock::now();
    pool.terminate();
    remuda::test::text_of<remuda::broken_pool_error>(behind);  // the grace has begun
    pool.kill();
    EXPECT_EQ(remuda::test::death_of(running).signal(), SIGKILL);
    if (std::chrono::steady_clock::now() - before < 1900ms) return;
  }
  ADD_FAILURE() << "it took the whole grace each time";
}

TEST(Promise30Kill, WhileTwoHundredAreQueuedAndRun) {
  for (int round = 0; round < 10; ++round) {
    remuda::process_pool pool{2};
    std::vector<remuda::future<int>> all;
    for (int i = 0; i < 200; ++i) {
      all.push_back(pool.submit(
          [](int n) {
            // however late the kill comes, it finds some
            if (n < 150) {
              std::this_thread::sleep_for(1ms);
            } else {
              sleep_long();
            }
            return 2 * n;
          },
          i));
    }
    ASSERT_TRUE(eventually([&] { return all[5].done(); }));
    pool.kill();
    int died = 0;
    int broken = 0;
    for (int i = 0; i < 200; ++i) {
      try {
        EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 2 * i);
      } catch (const remuda::worker_died& e) {
        EXPECT_EQ(e.signal(), SIGKILL);
        ++died;
      } catch (const remuda::broken_pool_error&) {
        ++broken;
      }
    }
    EXPECT_LE(died, 2);
    EXPECT_GT(broken, 0);
  }
}

TEST(Promise30Kill, FromManyThreadsWhileOthersSubmitAndWait) {
  remuda::process_pool pool{2};
  std::vector<std::thread> threads;
  std::atomic<int> finished{0};
  std::atomic<int> got{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      try {
        for (;; ++got) EXPECT_EQ(pool.submit(twice, 3).get(), 6);
      } catch (const remuda::broken_pool_error&) {
      } catch (const remuda::worker_died&) {
      }
      ++finished;
    });
  }
  EXPECT_TRUE(eventually([&] { return got > 10; }));
  for (int t = 0; t < 3; ++t) threads.emplace_back([&, t] { t % 2 == 0 ? pool.kill() : pool.terminate(); });
  for (auto& t : threads) t.join();
  EXPECT_EQ(finished, 3);
}

/// Lines of this process's memory map that name shared memory of the library.
std::ptrdiff_t shared_mappings() {
  std::ifstream in("/proc/self/maps");
  std::ptrdiff_t n = 0;
  for (std::string line; std::getline(in, line);) n += line.find("memfd:") != std::string::npos ? 1 : 0;
  return n;
}

std::size_t address_space() {
  std::ifstream in("/proc/self/statm");
  std::size_t pages = 0;
  in >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::set<std::string> in_dev_shm() {
  std::set<std::string> names;
  std::error_code none;
  for (const auto& e : std::filesystem::directory_iterator("/dev/shm", none)) names.insert(e.path().filename());
  return names;
}

class Promise21Nothing : public testing::TestWithParam<std::tuple<end, remuda::start_method>> {};

const end shut_down{"shutdown", [](remuda::process_pool& p) { p.shutdown(remuda::shutdown_mode::cancel_pending); }, 0,
                    ""};

INSTANTIATE_TEST_SUITE_P(, Promise21Nothing,
                         testing::Combine(testing::Values(terminated, killed, shut_down),
                                          testing::Values(remuda::start_method::zygote, remuda::start_method::fork)),
                         [](const auto& p) {
                           return std::string(std::get<0>(p.param).name) +
                                  (std::get<1>(p.param) == remuda::start_method::fork ? "_fork" : "_zygote");
                         });

TEST_P(Promise21Nothing, IsLeftAfterIt) {
  const auto& [how, start] = GetParam();
  const auto use = [&how = how, start = start] {
    std::set<pid_t> all;
    {
      remuda::process_pool pool{with_workers(3, start)};
      for (const pid_t p : processes_of(pool)) all.insert(p);
      all.insert(parent_of(*all.begin()));
      const auto buffer = pool.make_buffer<char>(1 << 20);
      std::vector<remuda::future<void>> tasks;
      for (int i = 0; i < 100; ++i) {
        tasks.push_back(pool.submit(
            [](const std::vector<int>&, const remuda::shared_buffer<char>&) { std::this_thread::sleep_for(1ms); },
            std::vector<int>(50'000), buffer));
      }
      EXPECT_TRUE(eventually([&] { return tasks.front().done(); }));
      how.of(pool);
    }
    for (const pid_t p : all) EXPECT_FALSE(is_there(p)) << p;
    EXPECT_EQ(all.size(), 4U);
  };
  use();  // what a first pool makes for good
  const auto open_before = descriptors();
  const auto threads_before = thread_ids();
  const auto names_before = in_dev_shm();
  const auto mapped_before = shared_mappings();
  const auto space_before = address_space();
  for (int round = 0; round < 3; ++round) use();
  EXPECT_EQ(descriptors(), open_before);
  EXPECT_TRUE(eventually([&] { return thread_ids() == threads_before; }));
  EXPECT_EQ(in_dev_shm(), names_before);
  EXPECT_EQ(shared_mappings(), mapped_before);
  // One pool reserves far more than this.
  EXPECT_LT(address_space(), space_before + (std::size_t{1} << 30));
  EXPECT_TRUE(children_of(getpid()).empty());
  errno = 0;
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
