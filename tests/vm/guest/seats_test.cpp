// Where workers sit, read back from the kernel.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "remuda/error.hpp"
#include "remuda/process_pool.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/vm/guest/kernel.hpp"

namespace remuda::vm {
namespace {

using set = std::set<unsigned>;

/// The CPUs of a pool's workers, by index, as its stats tell.
template <class Stats>
std::vector<unsigned> cpus_in(const Stats& stats) {
  std::vector<unsigned> cpus;
  for (const auto& w : stats.workers) cpus.push_back(static_cast<unsigned>(w.cpu));
  return cpus;
}

std::string text_of(const std::vector<unsigned>& cpus) {
  std::string text;
  for (const unsigned cpu : cpus) text += " " + std::to_string(cpu);
  return text;
}

/// What holds for the seats of every pool, whatever CPU it was made on.
void expect_good_seats(const std::vector<unsigned>& cpus) {
  const machine& m = machine::get();
  SCOPED_TRACE(std::to_string(cpus.size()) + " workers on CPUs" + text_of(cpus));
  std::map<unsigned, unsigned> on_cpu;
  set cores;
  for (const unsigned cpu : cpus) {
    ++on_cpu[cpu];
    cores.insert(*m.threads_of_core.at(cpu).begin());
  }
  EXPECT_EQ(on_cpu.size(), std::min(cpus.size(), m.cpus.size())) << "a CPU each while there are CPUs";
  EXPECT_EQ(cores.size(), std::min(cpus.size(), m.cores().size())) << "a core each while there are cores";
}

TEST(Seats, OfThreadsAreWhereThePlacementSays) {
  const auto all = static_cast<unsigned>(machine::get().cpus.size());
  for (unsigned workers = 1; workers <= all; ++workers) {
    const thread_pool pool(workers);
    const std::vector<unsigned> cpus = cpus_in(pool.stats());
    expect_good_seats(cpus);
    for (unsigned w = 0; w < workers; ++w) {
      const std::string name = "remuda/" + std::to_string(w);
      // A thread takes its seat, and its name, when it first runs.
      EXPECT_TRUE(test::eventually([&] {
        const auto threads = threads_named(name);
        return threads.size() == 1 && allowed_cpus(threads.front()) == set{cpus[w]};
      })) << name
          << " is not on CPU " << cpus[w];
    }
  }
}

TEST(Seats, OfProcessesAreWhereThePlacementSays) {
  const auto all = static_cast<unsigned>(machine::get().cpus.size());
  for (const unsigned workers : {2U, all / 2, all}) {
    const process_pool pool(test::with_workers(workers));
    const auto processes = test::processes_of(pool);
    const std::vector<unsigned> cpus = cpus_in(pool.stats());
    expect_good_seats(cpus);
    for (unsigned w = 0; w < workers; ++w) EXPECT_EQ(allowed_cpus(processes[w]), set{cpus[w]});
  }
}

TEST(Seats, TasksRunOnTheirWorkersCpu) {
  const auto all = static_cast<unsigned>(machine::get().cpus.size());
  thread_pool pool(all);
  std::latch every(static_cast<std::ptrdiff_t>(all));
  std::vector<future<int>> places;
  for (unsigned i = 0; i < all; ++i) {
    places.push_back(pool.submit([&] {
      every.arrive_and_wait();
      return ::sched_getcpu();
    }));
  }
  set seen;
  for (const auto& place : places) seen.insert(static_cast<unsigned>(place.get()));
  EXPECT_EQ(seen, machine::get().cpus);
}

TEST(Seats, OfAFewWorkersAreOnOneNode) {
  const machine& m = machine::get();
  const thread_pool pool(2);
  const std::vector<unsigned> cpus = cpus_in(pool.stats());
  EXPECT_EQ(m.node_of.at(cpus[0]), m.node_of.at(cpus[1])) << text_of(cpus);
}

TEST(Seats, OfMoreWorkersThanANodeHasAreOnTheNearestNodes) {
  const machine& m = machine::get();
  const auto cores_of_a_node = static_cast<unsigned>(m.cores().size() / m.nodes.size());
  const thread_pool pool(2 * cores_of_a_node);
  set nodes;
  for (const unsigned cpu : cpus_in(pool.stats())) nodes.insert(m.node_of.at(cpu));
  // Without the maker's core a node may have too few; but none is left out that is nearer than one that is used.
  const unsigned first = m.node_of.at(cpus_in(pool.stats()).front());
  unsigned farthest = 0;
  for (const unsigned node : nodes) farthest = std::max(farthest, m.distance.at(first).at(node));
  for (const unsigned node : m.nodes) {
    if (!nodes.contains(node)) {
      EXPECT_GE(m.distance.at(first).at(node), farthest) << "node " << node;
    }
  }
}

TEST(Seats, AReplacedProcessHasTheSeatOfTheOneBefore) {
  process_pool pool(test::with_workers(static_cast<unsigned>(machine::get().cpus.size())));
  const auto before = test::processes_of(pool);
  const std::vector<unsigned> cpus = cpus_in(pool.stats());
  ASSERT_EQ(kill(before.back(), SIGKILL), 0);
  ASSERT_TRUE(test::eventually([&] { return test::processes_of(pool).back() != before.back(); }));
  const pid_t after = test::processes_of(pool).back();
  EXPECT_EQ(cpus_in(pool.stats()), cpus);
  EXPECT_TRUE(test::eventually([&] { return allowed_cpus(after) == set{cpus.back()}; }));
}

}  // namespace
}  // namespace remuda::vm
