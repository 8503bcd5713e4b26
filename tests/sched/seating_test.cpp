// Which CPUs a pool leaves free, on machines that are only described.
#include "runtime/sched/seating.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/topo/detect.hpp"

namespace remuda::detail {
namespace {

std::vector<unsigned> seats(const char* machine, unsigned workers, unsigned maker, const os::cpu_mask& mask = {}) {
  const topo::placement placed = place_workers(topo::describe_topology(machine, mask), workers, maker);
  std::vector<unsigned> cpus;
  for (unsigned w = 0; w < placed.workers(); ++w) cpus.push_back(placed.cpu_of(w).os_index);
  std::sort(cpus.begin(), cpus.end());
  return cpus;
}

using list = std::vector<unsigned>;

TEST(Seating, TheMakersWholeCoreIsFreeWhenTheOthersAreEnough) {
  EXPECT_EQ(seats("[numa] core:4 pu:2", 3, 2), (list{0, 4, 6}));
  EXPECT_EQ(seats("[numa] core:4 pu:2", 3, 3), (list{0, 4, 6}));
  EXPECT_EQ(seats("[numa] core:4 pu:1", 3, 0), (list{1, 2, 3}));
}

TEST(Seating, AsManyWorkersAsCoresGetACoreEach) {
  EXPECT_EQ(seats("pack:2 [numa] core:2 pu:2", 4, 0), (list{1, 2, 4, 6}));
  EXPECT_EQ(seats("pack:2 [numa] core:2 pu:2", 4, 7), (list{0, 2, 4, 6}));
  EXPECT_EQ(seats("core:1 pu:2", 1, 0), (list{1}));
}

TEST(Seating, OfMoreWorkersThanCoresNoneIsOnTheMakersThread) {
  EXPECT_EQ(seats("[numa] core:2 pu:2", 3, 0), (list{1, 2, 3}));
  EXPECT_EQ(seats("[numa] core:2 pu:4", 3, 1), (list{0, 2, 4}));
  EXPECT_EQ(seats("[numa] core:2 pu:4", 7, 1), (list{0, 2, 3, 4, 5, 6, 7}));
}

TEST(Seating, AsManyWorkersAsCpusLeaveNothingFree) {
  EXPECT_EQ(seats("[numa] core:2 pu:2", 4, 1), (list{0, 1, 2, 3}));
  EXPECT_EQ(seats("core:1 pu:1", 3, 0), (list{0, 0, 0}));
}

TEST(Seating, AMakerOnNoneOfTheCpusLeavesNothingFree) {
  EXPECT_EQ(seats("[numa] core:2 pu:1", 1, unknown_id), (list{0}));
  EXPECT_EQ(seats("[numa] core:4 pu:2", 2, 0, os::cpu_mask({2, 3, 4})), (list{2, 4}));
}

class EverySeating : public testing::TestWithParam<const char*> {};

TEST_P(EverySeating, DoublesNoCoreUpWhileAnotherIsIdle) {
  const topology t = topo::describe_topology(GetParam());
  std::map<unsigned, unsigned> core_of;
  for (const cpu& each : t.cpus) core_of[each.os_index] = each.core;
  std::set<unsigned> cores;
  for (const auto& [index, core] : core_of) cores.insert(core);
  const auto cpus = static_cast<unsigned>(t.cpus.size());
  for (unsigned maker = 0; maker < cpus; ++maker) {
    for (unsigned workers = 1; workers <= cpus; ++workers) {
      const topo::placement placed = place_workers(t, workers, maker);
      std::map<unsigned, unsigned> load;
      std::set<unsigned> used;
      for (unsigned w = 0; w < workers; ++w) {
        used.insert(placed.cpu_of(w).os_index);
        ++load[core_of[placed.cpu_of(w).os_index]];
      }
      const std::string which = std::to_string(workers) + " workers, made on CPU " + std::to_string(maker);
      EXPECT_EQ(used.size(), workers) << which << ": a CPU each";
      EXPECT_EQ(load.size(), std::min<std::size_t>(workers, cores.size()))
          << which << ": as many cores as they can use";
      EXPECT_EQ(used.contains(maker), workers == cpus) << which << ": the maker's CPU is the last to be used";
      EXPECT_EQ(load.contains(core_of[maker]), workers >= cores.size()) << which << ": so is its core";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, EverySeating,
                         testing::Values("core:1 pu:1", "core:1 pu:2", "[numa] l3:1 core:4 pu:1",
                                         "pack:2 [numa] core:2 pu:2", "pack:2 [numa] l3:2 core:4 pu:2",
                                         "pack:4 [numa] core:2 pu:4", "[numa] core:3 pu:2(indexes=0,3,1,4,2,5)"));

}  // namespace
}  // namespace remuda::detail
