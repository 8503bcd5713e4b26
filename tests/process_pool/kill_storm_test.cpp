// Random SIGKILLs of workers under load. REMUDA_KILLS sets how many, REMUDA_SEED the order of things.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::eventually;
using std::chrono::steady_clock;

constexpr unsigned workers = 3;
constexpr std::size_t in_flight = 200;

unsigned number_from(const char* variable, unsigned otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

int same(int n) { return n; }

std::string echo(const std::string& text, int microseconds) {
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
  return text;
}

double median_round_trip_us(remuda::process_pool& pool) {
  std::vector<double> all;
  for (int i = 0; i < 2'000; ++i) {
    const auto start = steady_clock::now();
    pool.submit(same, i).get();
    all.push_back(std::chrono::duration<double, std::micro>(steady_clock::now() - start).count());
  }
  std::nth_element(all.begin(), all.begin() + 1'000, all.end());
  return all[1'000];
}

struct mappings {
  std::size_t all = 0;
  std::size_t segments = 0;  ///< of memory shared with workers
};

mappings mapped_now() {
  mappings m;
  std::ifstream in("/proc/self/maps");
  for (std::string line; std::getline(in, line); ++m.all) m.segments += line.find("memfd:remuda") != std::string::npos;
  return m;
}

std::size_t processes_of(const remuda::process_pool& pool) {
  const auto stats = pool.stats();
  return static_cast<std::size_t>(
      std::count_if(stats.workers.begin(), stats.workers.end(), [](const auto& w) { return w.pid > 0; }));
}

/// Kills each process once at most, most of them after they have done something.
class killer {
 public:
  killer(const remuda::process_pool& pool, unsigned seed, unsigned kills)
      : pool_(pool), random_(seed), wanted_(kills), thread_([this](const std::stop_token& over) { run(over); }) {}

  unsigned kills() const { return kills_; }
  bool done() const { return kills_ >= wanted_; }
  void stop() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  struct seen {
    int pid = -1;
    std::uint64_t run = 0;
  };

  void run(const std::stop_token& over) {
    std::vector<seen> last(workers);
    while (!over.stop_requested() && !done()) {
      const auto now = pool_.stats().workers;
      const std::size_t i = random_() % workers;
      const bool at_once = random_() % 4 == 0;  // perhaps while it starts
      if (now[i].pid > 0 && now[i].pid != last[i].pid && (at_once || now[i].run > last[i].run) &&
          ::kill(now[i].pid, SIGKILL) == 0) {
        ++kills_;
        last[i] = {now[i].pid, now[i].run};
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 1'000));
    }
  }

  const remuda::process_pool& pool_;
  std::minstd_rand random_;
  const unsigned wanted_;
  std::atomic<unsigned> kills_{0};
  std::jthread thread_;
};

struct sent {
  remuda::future<std::string> result;
  std::string expected;
  bool again;
};

struct outcomes {
  std::uint64_t values = 0;
  std::uint64_t died = 0;
};

void check(const sent& s, outcomes& all) {
  ASSERT_TRUE(s.result.wait_for(remuda::test::generous)) << "a task was lost";
  try {
    EXPECT_TRUE(s.result.get() == s.expected) << "not its own result";
    ++all.values;
  } catch (const remuda::worker_died&) {
    EXPECT_FALSE(s.again) << "it had retries left";
    ++all.died;
  }
}

TEST(Promise25ProcessPool, AStormOfKillsLosesNothing) {
  const unsigned kills = number_from("REMUDA_KILLS", static_cast<unsigned>(remuda::test::scaled(500)));
  const unsigned seed = number_from("REMUDA_SEED", std::random_device{}());
  std::printf("REMUDA_KILLS=%u REMUDA_SEED=%u\n", kills, seed);
  remuda::process_pool_options options;
  options.workers = workers;
  options.max_deaths_in_a_row = std::numeric_limits<unsigned>::max();  // here they mean nothing
  remuda::process_pool(options).submit(same, 1).get();                 // what is made once for all pools is there now
  const auto descriptors_before = remuda::test::descriptors();
  auto pool = std::make_unique<remuda::process_pool>(options);
  ASSERT_TRUE(eventually([&] { return processes_of(*pool) == workers; }));  // each has its descriptor
  const double hot_before = median_round_trip_us(*pool);
  const std::size_t open_before = remuda::test::descriptors().size();
  const mappings mapped_before = mapped_now();

  outcomes all;
  std::deque<std::atomic<int>> completions;
  std::deque<sent> tasks;
  std::minstd_rand random(seed + 1);
  const auto start = steady_clock::now();
  killer storm(*pool, seed, kills);
  while (!storm.done() && !HasFatalFailure()) {
    // Up to some 20 KiB, so that deaths also hit payloads outside of the slots.
    const std::size_t length = random() % 16 == 0 ? random() % 20'000 : random() % 30;
    std::string text(length, static_cast<char>('a' + random() % 26));
    const bool again = random() % 2 == 0;
    const auto retries = again ? std::numeric_limits<unsigned>::max() : 0;
    auto f = pool->submit(remuda::task_options{.retries = retries}, echo, text, static_cast<int>(random() % 300));
    std::atomic<int>& count = completions.emplace_back(0);
    f.on_done([&count](const auto&) { ++count; });
    tasks.push_back({std::move(f), std::move(text), again});
    if (tasks.size() < in_flight) continue;
    check(tasks.front(), all);
    tasks.pop_front();
  }
  storm.stop();
  for (const sent& s : tasks) check(s, all);
  tasks.clear();
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();

  EXPECT_EQ(storm.kills(), kills);
  EXPECT_TRUE(eventually([&] { return pool->stats().died == kills; })) << pool->stats().died;
  EXPECT_TRUE(eventually([&] { return processes_of(*pool) == workers; }));
  EXPECT_TRUE(eventually([&] { return remuda::test::descriptors().size() == open_before; }));
  EXPECT_TRUE(eventually([&] { return mapped_now().segments == mapped_before.segments; }));
  // A death that left a mapping behind would show; the allocator's own come and go.
  EXPECT_LT(mapped_now().all, mapped_before.all + std::max(kills / 4, 50U));

  const double hot_after = median_round_trip_us(*pool);
  const auto retried = pool->stats().retried;
  pool->shutdown();
  EXPECT_EQ(all.values + all.died, completions.size());
  EXPECT_TRUE(std::all_of(completions.begin(), completions.end(), [](const auto& n) { return n == 1; }));
  EXPECT_LE(all.died + retried, kills);
  pool.reset();
  EXPECT_EQ(remuda::test::descriptors(), descriptors_before);
  EXPECT_EQ(mapped_now().segments, 0U);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  EXPECT_EQ(errno, ECHILD);
  std::printf(
      "%u kills in %.1f s; %zu tasks: %llu with a value, %llu with worker_died, %llu tried again; hot round trip "
      "%.2f us before, %.2f us after\n",
      kills, seconds, completions.size(), static_cast<unsigned long long>(all.values),
      static_cast<unsigned long long>(all.died), static_cast<unsigned long long>(retried), hot_before, hot_after);
}

}  // namespace
