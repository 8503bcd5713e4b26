// On which node the memory of workers is: that of their CPU, or the nearest one that has memory.

#include <gtest/gtest.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "remuda/detail/allocate.hpp"
#include "remuda/process_pool.hpp"
#include "remuda/thread_pool.hpp"
#include "runtime/os/affinity.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/vm/guest/kernel.hpp"

namespace remuda::vm {
namespace {

using set = std::set<unsigned>;

unsigned all_cpus() { return static_cast<unsigned>(machine::get().cpus.size()); }

/// The caller is on one CPU from here on: whoever touches a page first does not decide by chance.
void stay_on(unsigned cpu) { ASSERT_EQ(os::pin_to_cpu(cpu), 0); }
void go_anywhere() { os::set_affinity(os::cpu_mask({machine::get().cpus.begin(), machine::get().cpus.end()})); }

// --- slabs

struct finding {
  int cpu = -1;
  set nodes;
};

void expect_near(const std::vector<finding>& findings) {
  const machine& m = machine::get();
  set cpus;
  for (const finding& each : findings) {
    const auto cpu = static_cast<unsigned>(each.cpu);
    cpus.insert(cpu);
    EXPECT_EQ(format_list(each.nodes), std::to_string(m.memory_for_cpu(cpu))) << "of CPU " << cpu;
  }
  EXPECT_EQ(cpus, m.cpus) << "all workers were looked at";
}

/// A task that says where the block is in which the pool keeps it.
struct where_i_am {
  std::array<std::byte, 300> room{};
  set operator()() const { return nodes_of_pages(this, sizeof *this); }
};

finding look_at_blocks(std::latch& every) {
  every.arrive_and_wait();
  constexpr int count = 200;
  finding found{::sched_getcpu(), {}};
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (int i = 0; i < count; ++i) {
    for (const std::size_t size : {std::size_t{64}, std::size_t{200}, detail::largest_block}) {
      blocks.emplace_back(std::memset(detail::allocate(size), i, size), size);
    }
  }
  for (const auto& [block, size] : blocks) {
    found.nodes.merge(nodes_of_pages(block, size));
    detail::deallocate(block, size);
  }
  return found;
}

finding look_at_tasks(std::latch& every, thread_pool& pool) {
  every.arrive_and_wait();
  constexpr int count = 100;
  finding found{::sched_getcpu(), {}};
  std::vector<future<set>> tasks;
  for (int i = 0; i < count; ++i) tasks.push_back(pool.submit(where_i_am{}));
  for (const auto& task : tasks) found.nodes.merge(set(task.get()));
  return found;
}

template <class Look>
std::vector<finding> on_every_worker(thread_pool& pool, Look look) {
  std::vector<future<finding>> looks;
  for (unsigned i = 0; i < pool.size(); ++i) looks.push_back(pool.submit(look));
  std::vector<finding> findings;
  for (const auto& each : looks) findings.push_back(each.get());
  return findings;
}

TEST(Slabs, AreOnTheNodeOfTheirWorker) {
  thread_pool pool(all_cpus());
  std::latch every(static_cast<std::ptrdiff_t>(pool.size()));
  expect_near(on_every_worker(pool, [&] { return look_at_blocks(every); }));
}

TEST(Slabs, AreOnTheNodeOfTheirWorkerAlsoAfterWorkersOfAllNodesHaveEnded) {
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    thread_pool pool(all_cpus());
    std::latch every(static_cast<std::ptrdiff_t>(pool.size()));
    expect_near(on_every_worker(pool, [&] { return look_at_blocks(every); }));
  }
}

/// What a thread of one node has used and freed, malloc gives to workers of any node.
TEST(SlabsOfUsedMemory, AreOnTheNodeOfTheirWorker) {
  ASSERT_EQ(mallopt(M_ARENA_MAX, 1), 1);
  ASSERT_EQ(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);  // fixed from here on, as is the threshold of giving back
  ASSERT_EQ(mallopt(M_TRIM_THRESHOLD, 1 << 30), 1);
  stay_on(*machine::get().cpus.begin());
  constexpr std::size_t bytes = std::size_t{64} << 10;
  std::vector<std::vector<char>> used(256);  // more than the chunks that the blocks need
  for (auto& each : used) each.assign(bytes, 'x');
  used.clear();
  go_anywhere();
  thread_pool pool(all_cpus());
  std::latch every(static_cast<std::ptrdiff_t>(pool.size()));
  expect_near(on_every_worker(pool, [&] { return look_at_blocks(every); }));
}

TEST(TasksOfTasks, AreOnTheNodeOfTheWorkerThatSubmitsThem) {
  thread_pool pool(all_cpus());
  std::latch every(static_cast<std::ptrdiff_t>(pool.size()));
  expect_near(on_every_worker(pool, [&] { return look_at_tasks(every, pool); }));
}

// --- rings

/// All shared memory of the pool, as its workers and as this process have touched it, is where it has to be.
void expect_rings_near(const process_pool& pool, const set& allowed) {
  const machine& m = machine::get();
  const auto processes = test::processes_of(pool);
  const auto here = segments_of(getpid());
  const auto stats = pool.stats();
  for (std::size_t w = 0; w < processes.size(); ++w) {
    const auto cpu = static_cast<unsigned>(stats.workers[w].cpu);
    const unsigned wanted = m.memory_for(m.node_of.at(cpu), allowed);
    SCOPED_TRACE("worker " + std::to_string(w) + " on CPU " + std::to_string(cpu));
    const auto there = segments_of(processes[w]);
    ASSERT_EQ(there.size(), 1U);
    const auto& [inode, memory] = *there.begin();
    ASSERT_TRUE(here.contains(inode));
    for (const shared_memory* side : {&memory, &here.at(inode)}) {
      const std::string whose = side == &memory ? "touched by the worker" : "touched by the parent";
      EXPECT_EQ(side->policy, "prefer:" + std::to_string(wanted)) << whose;
      set nodes;
      for (const auto& [node, pages] : side->pages) nodes.insert(node);
      EXPECT_EQ(format_list(nodes), std::to_string(wanted)) << whose;
    }
  }
}

/// One for each worker: while it is held the others get the next ones.
std::vector<char> reversed(const std::string& held_by, std::vector<char> bytes) {
  test::file_gate::wait(held_by);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

/// Sends arguments and results that do not fit into slots through every worker.
void use_every_worker(process_pool& pool) {
  constexpr std::size_t bytes = std::size_t{256} << 10;
  const auto before = pool.stats();
  const auto all_used = [&] {
    const auto now = pool.stats();
    for (std::size_t w = 0; w < now.workers.size(); ++w) {
      if (now.workers[w].run < before.workers[w].run + 2) return false;
    }
    return true;
  };
  std::vector<char> data(bytes, 'a');
  data.back() = 'z';
  EXPECT_TRUE(test::eventually([&] {
    const test::file_gate gate;
    std::vector<future<std::vector<char>>> results;
    for (unsigned i = 0; i < pool.size(); ++i) results.push_back(pool.submit(&reversed, gate.path(), data));
    gate.open();
    for (const auto& result : results) EXPECT_EQ(result.get().front(), 'z');
    return all_used();
  }));
}

class Rings : public testing::Test {
 protected:
  void TearDown() override { go_anywhere(); }
};

TEST_F(Rings, AreOnTheNodeOfTheirWorkerBeforeAnyTask) {
  const process_pool pool(test::with_workers(all_cpus()));
  expect_rings_near(pool, machine::get().with_memory);
}

TEST_F(Rings, WithPayloadsAreOnTheNodeOfTheirWorker) {
  process_pool pool(test::with_workers(all_cpus()));
  for (const unsigned cpu : {*machine::get().cpus.begin(), *machine::get().cpus.rbegin()}) {
    stay_on(cpu);
    use_every_worker(pool);
    expect_rings_near(pool, machine::get().with_memory);
  }
}

TEST_F(Rings, OfReplacedWorkersAreOnTheirNodeToo) {
  process_pool pool(test::with_workers(all_cpus()));
  stay_on(*machine::get().cpus.begin());
  const auto before = test::processes_of(pool);
  for (const pid_t each : before) ASSERT_EQ(kill(each, SIGKILL), 0);
  ASSERT_TRUE(test::eventually([&] {
    for (const auto& w : pool.stats().workers) {
      if (w.replaced == 0 || w.pid == -1) return false;
    }
    return true;
  }));
  use_every_worker(pool);
  expect_rings_near(pool, machine::get().with_memory);
}

TEST_F(Rings, AreOnTheNearestNodeThatTheGroupMayUse) {
  const machine& m = machine::get();
  const own_group group;
  for (const unsigned node : {*m.with_memory.begin(), *m.with_memory.rbegin()}) {
    own_group::set("cpuset.mems", std::to_string(node));
    process_pool pool(test::with_workers(all_cpus()));
    use_every_worker(pool);
    expect_rings_near(pool, {node});
  }
}

/// CPU, then the nodes of memory that the task asks the system for.
std::vector<unsigned> look_at_own_memory(const std::string& held_by) {
  test::file_gate::wait(held_by);
  constexpr std::size_t bytes = std::size_t{1} << 20;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
  std::memset(memory, 1, bytes);
  std::vector<unsigned> found{static_cast<unsigned>(::sched_getcpu())};
  for (const unsigned node : nodes_of_pages(memory, bytes)) found.push_back(node);
  munmap(memory, bytes);
  return found;
}

TEST(ProcessMemory, ThatTasksAskForIsOnTheNodeOfTheirWorker) {
  const machine& m = machine::get();
  process_pool pool(test::with_workers(all_cpus()));
  set cpus;
  EXPECT_TRUE(test::eventually([&] {
    const test::file_gate gate;
    std::vector<future<std::vector<unsigned>>> looks;
    for (unsigned i = 0; i < pool.size(); ++i) looks.push_back(pool.submit(&look_at_own_memory, gate.path()));
    gate.open();
    for (const auto& look : looks) {
      const std::vector<unsigned> found = look.get();
      if (found.size() != 2) {
        ADD_FAILURE() << found.size() << " words instead of a CPU and one node";
        return true;
      }
      cpus.insert(found.front());
      EXPECT_EQ(found.back(), m.memory_for_cpu(found.front())) << "of CPU " << found.front();
    }
    return cpus == m.cpus;
  }));
}

}  // namespace
}  // namespace remuda::vm
