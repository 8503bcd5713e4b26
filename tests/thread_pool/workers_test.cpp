// Promises 16 and 33: how many workers, where they run, how they start.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <latch>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "remuda/thread_pool.hpp"
#include "remuda/topology.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

std::set<unsigned> cpus_of(pid_t thread) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(sched_getaffinity(thread, sizeof mask, &mask), 0);
  std::set<unsigned> out;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &mask)) out.insert(i);
  }
  return out;
}

/// Runs `f` on a thread that may use the first usable CPU alone.
template <class F>
void on_one_cpu(F f) {
  const unsigned only = detect_topology().cpus.front().os_index;
  std::jthread([&] {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    CPU_SET(only, &mask);
    ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
    f(only);
  });
}

/// The system's ids of a pool's workers, by index.
class roll_call {
 public:
  thread_pool_options options(unsigned workers) {
    thread_pool_options o;
    o.workers = workers;
    o.on_start = [this](unsigned index) {
      const std::lock_guard lock(mutex_);
      EXPECT_TRUE(ids_.emplace(index, gettid()).second) << "worker " << index << " started twice";
    };
    return o;
  }
  std::map<unsigned, pid_t> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<unsigned, pid_t> ids_;
};

TEST(Promise16Workers, ZeroIsRefused) {
  EXPECT_THROW(thread_pool(0U), std::invalid_argument);
  thread_pool_options options;
  options.workers = 0;
  EXPECT_THROW(thread_pool{options}, std::invalid_argument);
}

TEST(Promise16Workers, AbsurdCountsAreRefused) {
  const auto threads = thread_ids();
  for (const unsigned absurd : {thread_pool::max_workers + 1, 1'000'000U, std::numeric_limits<unsigned>::max()}) {
    EXPECT_THROW(thread_pool{absurd}, std::invalid_argument) << absurd;
  }
  EXPECT_EQ(thread_ids(), threads);
}

TEST(Promise16Workers, DefaultIsOnePerUsableCore) {
  const thread_pool pool;
  EXPECT_EQ(pool.size(), detect_topology().usable());
  const thread_pool by_options{thread_pool_options{}};
  EXPECT_EQ(by_options.size(), pool.size());
}

TEST(Promise16Workers, DefaultFollowsTheAffinityMaskOfTheCaller) {
  on_one_cpu([](unsigned only) {
    thread_pool pool;
    EXPECT_EQ(pool.size(), 1U);
    EXPECT_EQ(pool.submit([] { return cpus_of(0); }).get(), std::set{only});
  });
}

TEST(Promise33OnStart, MayWaitAndTheWorkerKeepsItsSeat) {
  constexpr unsigned workers = 2;
  roll_call roll;
  promise<void> late;
  auto options = roll.options(workers);
  options.on_start = [call = options.on_start, waits_for = late.get_future()](unsigned index) {
    call(index);
    waits_for.get();
  };
  const std::jthread helper([&] {
    // all of them wait before they may go on
    EXPECT_TRUE(eventually([&] {
      const auto ids = roll.ids();
      return ids.size() == workers &&
             std::all_of(ids.begin(), ids.end(), [](const auto& entry) { return is_asleep(entry.second); });
    }));
    late.set_value();
  });
  thread_pool pool(options);
  EXPECT_EQ(pool.submit([] { return 3; }).get_for(generous), 3);
  EXPECT_EQ(pool.stats().spare_threads, 0U);
  EXPECT_EQ(roll.ids().size(), workers);
}

TEST(Promise16Workers, ManyOnAMaskOfOneCpu) {
  on_one_cpu([](unsigned only) {
    constexpr unsigned workers = 4;
    thread_pool pool(workers);
    EXPECT_EQ(pool.size(), workers);
    std::latch all(workers);
    std::vector<future<std::set<unsigned>>> futures;
    for (unsigned i = 0; i < workers; ++i) {
      futures.push_back(pool.submit([&] {
        all.arrive_and_wait();
        return cpus_of(0);
      }));
    }
    for (const auto& f : futures) EXPECT_EQ(f.get_for(generous), std::set{only});
  });
}

TEST(Promise16Workers, PhysicalCoresComeBeforeSiblings) {
  const topology machine = detect_topology();
  std::map<unsigned, unsigned> core_of;
  std::set<unsigned> cores;
  for (const cpu& c : machine.cpus) {
    core_of[c.os_index] = c.core;
    cores.insert(c.core);
  }
  for (unsigned workers = 1; workers <= machine.cpus.size(); ++workers) {
    const thread_pool pool(workers);
    std::set<unsigned> used;
    for (const auto& w : pool.stats().workers) used.insert(core_of.at(static_cast<unsigned>(w.cpu)));
    EXPECT_EQ(used.size(), std::min<std::size_t>(workers, cores.size())) << workers << " workers";
  }
}

TEST(Promise16Workers, AsManyAsAskedForRunAtOnce) {
  constexpr unsigned workers = 7;
  thread_pool pool(workers);
  EXPECT_EQ(pool.size(), workers);
  EXPECT_EQ(pool.stats().workers.size(), workers);
  std::latch all(workers);
  std::vector<future<void>> futures;
  for (unsigned i = 0; i < workers; ++i) futures.push_back(pool.submit([&] { all.arrive_and_wait(); }));
  for (const auto& f : futures) EXPECT_TRUE(f.wait_for(generous));
}

TEST(Promise16Workers, AThousand) {
  constexpr unsigned workers = 1000;
  const auto before = thread_ids();
  {
    thread_pool pool(workers);
    EXPECT_EQ(pool.size(), workers);
    EXPECT_EQ(thread_ids().size(), before.size() + workers);
    std::latch all(workers);
    std::vector<future<pid_t>> futures;
    for (unsigned i = 0; i < workers; ++i) {
      futures.push_back(pool.submit([&] {
        all.arrive_and_wait();
        return gettid();
      }));
    }
    std::set<pid_t> ids;
    for (const auto& f : futures) ids.insert(f.get_for(generous));
    EXPECT_EQ(ids.size(), workers) << "the latch lets nobody go before all thousand run";
  }
  EXPECT_TRUE(eventually([&] { return thread_ids() == before; }));
}

TEST(Promise33Workers, StartedOnceFiftyTasksOnTenThreads) {
  constexpr unsigned workers = 10;
  constexpr int tasks = 50;
  roll_call roll;
  thread_pool pool(roll.options(workers));
  std::vector<future<pid_t>> futures;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit([] { return gettid(); }));
  std::set<pid_t> seen;
  for (const auto& f : futures) seen.insert(f.get());
  EXPECT_LE(seen.size(), workers);
  std::set<pid_t> started;
  for (const auto& [index, id] : roll.ids()) started.insert(id);
  EXPECT_TRUE(std::includes(started.begin(), started.end(), seen.begin(), seen.end()));
  EXPECT_FALSE(seen.contains(gettid()));
}

TEST(Promise33Workers, ConstructorReturnsWhenAllHaveStarted) {
  constexpr unsigned workers = 5;
  roll_call roll;
  const thread_pool pool(roll.options(workers));
  const auto ids = roll.ids();
  ASSERT_EQ(ids.size(), workers);
  unsigned expected = 0;
  for (const auto& [index, id] : ids) EXPECT_EQ(index, expected++);
}

TEST(Promise33Workers, PinnedAsThePlacementSays) {
  const std::set<unsigned> mine = cpus_of(0);
  for (const unsigned workers : {1U, 2U, 5U}) {
    roll_call roll;
    const thread_pool pool(roll.options(workers));
    const pool_stats stats = pool.stats();
    for (const auto& [index, id] : roll.ids()) {
      ASSERT_GE(stats.workers[index].cpu, 0);
      const auto cpu = static_cast<unsigned>(stats.workers[index].cpu);
      EXPECT_EQ(cpus_of(id), std::set{cpu});
      EXPECT_TRUE(mine.contains(cpu)) << "inside the mask of whoever made the pool";
    }
  }
  EXPECT_EQ(cpus_of(0), mine) << "the caller is not pinned";
}

TEST(Promise33Workers, PinnedEvenlyOverTheUsableCpus) {
  const std::size_t cpus = detect_topology().cpus.size();
  const thread_pool pool(static_cast<unsigned>(2 * cpus));
  std::map<int, int> load;
  for (const auto& w : pool.stats().workers) ++load[w.cpu];
  EXPECT_EQ(load.size(), cpus);
  for (const auto& [cpu, workers] : load) EXPECT_EQ(workers, 2) << "CPU " << cpu;
}

TEST(Promise33Workers, NotPinnedWhenNotWanted) {
  roll_call roll;
  auto options = roll.options(2);
  options.pin = false;
  const thread_pool pool(options);
  for (const auto& [index, id] : roll.ids()) EXPECT_EQ(cpus_of(id), cpus_of(0));
  for (const auto& w : pool.stats().workers) EXPECT_EQ(w.cpu, -1);
}

TEST(Promise33Workers, Named) {
  constexpr unsigned workers = 3;
  constexpr std::size_t longest = 15;  // the kernel's
  for (const std::string name : {"remuda", "stable", "a name that is too long for the kernel"}) {
    roll_call roll;
    auto options = roll.options(workers);
    options.name = name;
    const thread_pool pool(options);
    for (const auto& [index, id] : roll.ids()) {
      EXPECT_EQ(thread_name(id), (name + "/" + std::to_string(index)).substr(0, longest));
    }
  }
}

TEST(Promise33Workers, DefaultNameIsTheLibrarys) {
  thread_pool pool(1);
  EXPECT_EQ(pool.submit([] { return thread_name(gettid()); }).get(), "remuda/0");
}

TEST(Promise33Workers, OnStartRunsBeforeAnyTask) {
  constexpr unsigned workers = 3;
  static thread_local bool prepared = false;
  thread_pool_options options;
  options.workers = workers;
  options.on_start = [](unsigned) { prepared = true; };
  thread_pool pool(options);
  std::latch all(workers);
  std::vector<future<bool>> futures;
  for (unsigned i = 0; i < workers; ++i) {
    futures.push_back(pool.submit([&] {
      all.arrive_and_wait();
      return prepared;
    }));
  }
  for (const auto& f : futures) EXPECT_TRUE(f.get_for(generous));
}

TEST(Promise33Workers, OnStartThatThrowsIsRethrownAndAllAreJoined) {
  constexpr unsigned workers = 4;
  const auto before = thread_ids();
  for (unsigned guilty = 0; guilty < workers; ++guilty) {
    thread_pool_options options;
    options.workers = workers;
    options.on_start = [guilty](unsigned index) {
      if (index == guilty) throw std::domain_error("worker " + std::to_string(index));
    };
    try {
      const thread_pool pool(options);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::domain_error& e) {
      EXPECT_EQ(e.what(), "worker " + std::to_string(guilty));
    }
    EXPECT_TRUE(eventually([&] { return thread_ids() == before; }));
  }
}

TEST(Promise33Workers, OnStartThatThrowsAnotherType) {
  thread_pool_options options;
  options.workers = 2;
  options.on_start = [](unsigned) { throw 17; };
  EXPECT_THROW(thread_pool{options}, int);
}

}  // namespace
