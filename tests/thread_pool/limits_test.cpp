// Bad surroundings: no more threads to be had, and fork() in a program with a pool.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

/// How many threads a user has in the whole system; that is what the limit counts.
unsigned long threads_of(uid_t user) {
  unsigned long count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "status");
    bool his = false;
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::string key;
      unsigned long value = 0;
      fields >> key >> value;
      if (key == "Uid:") his = value == user;
      if (key == "Threads:" && his) count += value;
    }
  }
  return count;
}

/// From here on this process can start only a few threads. Root has no such limit, so it becomes nobody first.
std::string allow_few_threads() {
  constexpr uid_t nobody = 65534;
  constexpr unsigned long few = 4;
  const uid_t user = geteuid() == 0 ? nobody : geteuid();
  const rlim_t most = threads_of(user) + (user == geteuid() ? 0 : thread_ids().size()) + few;
  const rlimit limit{most, most};
  if (setrlimit(RLIMIT_NPROC, &limit) != 0) return "setrlimit failed";
  if (geteuid() == 0 && setuid(nobody) != 0) return "setuid failed";
  return "";
}

TEST(Promise16Limits, NoMoreThreadsIsAClearErrorAndTheStartedOnesAreJoined) {
  const auto result = in_child([]() -> std::string {
    constexpr unsigned workers = 64;
    start_and_end_a_thread();  // with it comes the sanitizer's, if there is one, also in a child
    const auto before = thread_ids();
    if (auto complaint = allow_few_threads(); !complaint.empty()) return complaint;
    std::atomic<int> started{0};
    thread_pool_options options;
    options.workers = workers;
    options.on_start = [&](unsigned) { ++started; };
    try {
      const thread_pool pool(options);
      return "the limit had no effect";
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::resource_unavailable_try_again) return std::string("another error: ") + e.what();
      if (std::string(e.what()).find("thread") == std::string::npos) return std::string("unclear: ") + e.what();
    }
    if (!eventually([&] { return thread_ids().size() <= before.size(); })) return "threads are left";
    thread_pool small(1);
    return small.submit([] { return 3; }).get() == 3 ? "" : "a small pool does not work";
  });
  EXPECT_TRUE(well(result)) << result;
}

/// Task `depth` waits for task `depth - 1`, and uses a good piece of stack of its own.
int heavy_chain(thread_pool& pool, int depth) {
  constexpr std::size_t piece = std::size_t{16} << 10;
  volatile char stack[piece];
  const std::size_t somewhere = static_cast<std::size_t>(depth) % piece;  // else clang keeps only the one byte
  stack[somewhere] = 1;
  if (depth == 0) return 0;
  return pool.submit([&pool, depth] { return heavy_chain(pool, depth - 1); }).get() + stack[somewhere];
}

TEST(Promise08Limits, WaitingInATaskWhenNoSpareThreadCanBeStarted) {
  const auto result = in_child([]() -> std::string {
    gate g;
    thread_pool pool(1);
    if (auto complaint = allow_few_threads(); !complaint.empty()) return complaint;
    std::vector<std::jthread> others;
    const gate_opener opener(g);
    try {
      while (others.size() < 64) others.emplace_back([&] { g.wait(); });
      return "the limit had no effect";
    } catch (const std::system_error&) {
    }
    promise<int> outside;
    const auto blocked = pool.submit([f = outside.get_future()] { return f.get(); });
    if (!eventually([&] { return blocked.running(); })) return "the task did not start";
    const auto queued = pool.submit([] { return 4; });
    outside.set_value(3);
    if (blocked.get_for(generous) != 3 || queued.get_for(generous) != 4) return "a blocked task lost its seat";

    constexpr int above_the_comfortable_depth = 200;  // of 16 KiB each: more than 1 MiB, less than a stack
    const auto deep = pool.submit([&] { return heavy_chain(pool, above_the_comfortable_depth); });
    if (deep.get_for(generous) != above_the_comfortable_depth) return "a deep chain went wrong";

    constexpr int more_than_a_stack = 1000;
    const auto too_deep = pool.submit([&] { return heavy_chain(pool, more_than_a_stack); });
    try {
      too_deep.get_for(generous);
      return "there is no such stack";
    } catch (const timeout_error&) {
      return "it hangs instead of throwing";
    } catch (const error& e) {
      if (std::string(e.what()).find("nested too deep") == std::string::npos)
        return std::string("unclear: ") + e.what();
    }
    if (pool.stats().spare_threads != 0) return "a spare thread was there";
    return pool.submit([] { return 5; }).get_for(generous) == 5 ? "" : "the pool does not work any more";
  });
  EXPECT_TRUE(well(result)) << result;
}

/// A pool whose only worker is held, in a process that will fork.
class forking : public testing::Test {
 protected:
  void SetUp() override {
    pool_->post([this] { gate_.wait(); });
    ASSERT_TRUE(eventually([&] { return gate_.arrived() == 1; }));
    pending_ = pool_->submit([] { return 3; });
    finished_.set_value(4);
  }
  void TearDown() override {
    gate_.open();
    EXPECT_EQ(pending_.get_for(generous), 3) << "the parent's pool works on";
  }

  gate gate_;
  std::unique_ptr<thread_pool> pool_ = std::make_unique<thread_pool>(1);
  const gate_opener opener_{gate_};
  future<int> pending_;
  promise<int> finished_;
};

/// "" if `f` throws broken_pool_error with a text that names the fork.
std::string refused(const char* what, const std::function<void()>& f) {
  try {
    f();
  } catch (const broken_pool_error& e) {
    const bool clear = std::string(e.what()).find("fork") != std::string::npos;
    return clear ? "" : std::string(what) + ": unclear: " + e.what();
  } catch (const std::exception& e) {
    return std::string(what) + ": " + e.what();
  }
  return std::string(what) + ": nothing was thrown";
}

using Promise18Fork = forking;

TEST_F(Promise18Fork, SubmitAndPostAreRefusedInTheChild) {
  const auto result = in_child(
      [&] { return refused("submit", [&] { pool_->submit([] {}); }) + refused("post", [&] { pool_->post([] {}); }); });
  EXPECT_TRUE(well(result)) << result;
}

TEST_F(Promise18Fork, WaitingForAPendingFutureIsRefusedInTheChild) {
  const auto result = in_child([&] {
    return refused("get", [&] { pending_.get(); }) + refused("get_for", [&] { pending_.get_for(for_ever); }) +
           refused("wait", [&] { pending_.wait(); }) + refused("wait_for", [&] { pending_.wait_for(for_ever); }) +
           refused("error", [&] { pending_.error(); }) + refused("take", [&] { future<int>(pending_).take(); }) +
           refused("run_here", [&] { pending_.run_here(); });
  });
  EXPECT_TRUE(well(result)) << result;
}

TEST_F(Promise18Fork, WhatIsFinishedCanBeReadInTheChild) {
  const auto result = in_child([&]() -> std::string {
    if (finished_.get_future().get() != 4) return "the value is wrong";
    if (pending_.done()) return "the pending one is done";
    return "";
  });
  EXPECT_TRUE(well(result)) << result;
}

TEST_F(Promise18Fork, ShutdownAndDestructorDoNotHangInTheChild) {
  const auto result = in_child([&]() -> std::string {
    pool_->shutdown();
    pool_->shutdown(shutdown_mode::cancel_pending);
    pool_.reset();
    pending_ = {};
    return "";
  });
  EXPECT_TRUE(well(result)) << result;
}

TEST_F(Promise18Fork, ExitOfTheChildDoesNotHang) {
  const auto result = in_child([&]() -> std::string {
    static const std::unique_ptr<thread_pool> ended_at_exit = std::move(pool_);
    std::exit(0);
  });
  EXPECT_TRUE(well(result)) << result;
}

TEST_F(Promise18Fork, ChildOfTheChildIsRefusedToo) {
  const auto result = in_child([&]() -> std::string {
    const auto grandchild = in_child([&] { return refused("submit", [&] { pool_->submit([] {}); }); });
    return well(grandchild) ? "" : "the grandchild: " + grandchild.complaint;
  });
  EXPECT_TRUE(well(result)) << result;
}

TEST(Promise18ForkInATask, ChildIsRefused) {
  thread_pool pool(2);
  const auto result = pool.submit([&] {
    return in_child(
        [&] { return refused("submit", [&] { pool.submit([] {}); }) + refused("post", [&] { pool.post([] {}); }); });
  });
  EXPECT_TRUE(well(result.get())) << result.get();
  EXPECT_EQ(pool.submit([] { return 3; }).get(), 3);
}

// Many threads hold the allocator's and the pool's inner locks for a moment at all times; none may be left locked. Not
// with the heaps of the sanitizers: unlike glibc's, they leave their locks as another thread held them at the fork.
#ifndef REMUDA_TEST_SANITIZER_HEAP
TEST(Promise18ForkAtWork, ChildOfABusyProgramNeverHangs) {
  constexpr int children = 20;
  std::atomic<bool> over{false};
  thread_pool pool(2);
  std::jthread busy([&] {
    while (!over) {
      pool.submit([] { return std::string(100, 'x'); }).on_done([](const future<std::string>&) {});
      { thread_pool other(1); }
    }
  });
  for (int i = 0; i < children; ++i) {
    const auto result = in_child([&] {
      auto complaint = refused("submit", [&] { pool.submit([] {}); });
      pool.shutdown();
      return complaint;
    });
    EXPECT_TRUE(well(result)) << result;
    if (HasFailure()) break;
  }
  over = true;
}
#endif

}  // namespace
