#include "runtime/topo/placement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/topo/detect.hpp"
#include "tests/topo/machines.hpp"

namespace remuda::topo {
namespace {

std::vector<unsigned> placed_on(const placement& p) {
  std::vector<unsigned> indices;
  for (unsigned w = 0; w < p.workers(); ++w) indices.push_back(p.cpu_of(w).os_index);
  return indices;
}

std::vector<unsigned> members(const victim_ring& ring) {
  std::vector<unsigned> workers;
  for (std::size_t i = 0; i < ring.size(); ++i) workers.push_back(ring[i]);
  std::sort(workers.begin(), workers.end());
  return workers;
}

std::vector<std::vector<unsigned>> rings(const placement& p, unsigned worker) {
  std::vector<std::vector<unsigned>> all;
  for (unsigned k = 0; k < p.ring_count(worker); ++k) all.push_back(members(p.ring(worker, k)));
  return all;
}

using ring_list = std::vector<std::vector<unsigned>>;

// --- which CPU

TEST(Placement, OneCoreTakesAllWorkers) {
  const placement p(describe_topology("core:1 pu:1"), 3);
  EXPECT_EQ(placed_on(p), (std::vector<unsigned>{0, 0, 0}));
  EXPECT_EQ(rings(p, 1), (ring_list{{0, 2}}));
}

TEST(Placement, OneWorkerHasNoVictims) {
  const placement p(describe_topology("pack:2 [numa] core:2 pu:2"), 1);
  EXPECT_EQ(p.workers(), 1U);
  EXPECT_EQ(p.ring_count(0), 0U);
}

TEST(Placement, NoWorkersIsFine) { EXPECT_EQ(placement(describe_topology("core:2 pu:1"), 0).workers(), 0U); }

TEST(Placement, CoresBeforeSecondThreadsNodeByNode) {
  // CPUs 0..3 are node 0, 4..7 node 1; each core has an even and an odd thread.
  const placement p(describe_topology("pack:2 [numa] core:2 pu:2"), 8);
  EXPECT_EQ(placed_on(p), (std::vector<unsigned>{0, 2, 4, 6, 1, 3, 5, 7}));
}

TEST(Placement, MoreWorkersThanCpusWrapRound) {
  const topology t = describe_topology("pack:2 [numa] core:2 pu:2");
  const auto count = static_cast<unsigned>(t.cpus.size());
  const placement p(t, 3 * count + 1);
  for (unsigned w = count; w < p.workers(); ++w) EXPECT_EQ(p.cpu_of(w), p.cpu_of(w - count));
}

TEST(Placement, FillsOneCacheBeforeTheNext) {
  // Kernel numbers that alternate between the two L3 caches.
  const placement p(describe_topology("[numa] l3:2 core:2 pu:1(indexes=0,2,1,3)"), 4);
  EXPECT_EQ(placed_on(p), (std::vector<unsigned>{0, 2, 1, 3}));
}

TEST(Placement, StartsOnTheNodeWithMostCores) {
  const placement p(describe_topology("pack:3 [numa] core:2 pu:2", os::cpu_mask({0, 1, 4, 6, 8})), 5);
  EXPECT_EQ(placed_on(p), (std::vector<unsigned>{4, 6, 0, 8, 1}));
}

TEST(Placement, ThenTheNodeNearestToTheFirst) {
  topology t = describe_topology("pack:4 [numa] core:1 pu:1");
  t.node_distances = {10, 30, 20, 40,  //
                      30, 10, 40, 20,  //
                      20, 40, 10, 30,  //
                      40, 20, 30, 10};
  EXPECT_EQ(placed_on(placement(t, 4)), (std::vector<unsigned>{0, 2, 1, 3}));
}

TEST(Placement, AMaskThatLeavesSecondThreadsOnlyStillGivesWholeCores) {
  const placement p(describe_topology("core:4 pu:2", os::cpu_mask({1, 2, 3, 7})), 4);
  EXPECT_EQ(placed_on(p), (std::vector<unsigned>{1, 2, 7, 3}));
}

TEST(Placement, SpreadsOverAllCoresOfALargeMachineBeforeAnySibling) {
  const topology t = describe_topology("pack:2 [numa] l3:1 l2:64 core:1 pu:2");
  const auto cores = static_cast<unsigned>(t.cpus.size() / 2);
  const placement p(t, 2 * cores);
  std::set<unsigned> used_cores;
  for (unsigned w = 0; w < cores; ++w) used_cores.insert(p.cpu_of(w).core);
  EXPECT_EQ(used_cores.size(), cores);
  for (unsigned w = 0; w < cores / 2; ++w) EXPECT_EQ(p.cpu_of(w).numa_node, p.cpu_of(0).numa_node);
  for (unsigned w = 0; w < cores; ++w) EXPECT_EQ(p.cpu_of(w + cores).core, p.cpu_of(w).core);
}

TEST(Placement, FastCoresThenSlowOnesThenSecondThreads) {
  topology t = describe_topology(topo_test::hybrid);
  EXPECT_EQ(placed_on(placement(t, 8)), (std::vector<unsigned>{0, 2, 4, 5, 6, 7, 1, 3}));
  EXPECT_EQ(placed_on(placement(t, 2)), (std::vector<unsigned>{0, 2}));
  // The other way round, so that it is not the numbers that decide.
  for (cpu& each : t.cpus) each.efficiency_class = each.os_index < 4 ? 0 : 1;
  EXPECT_EQ(placed_on(placement(t, 8)), (std::vector<unsigned>{4, 5, 6, 7, 0, 2, 1, 3}));
}

// --- victims

TEST(Rings, SiblingThenCacheThenNodeThenRemote) {
  // Per node two L3 with two cores each, two threads a core. Worker w and w + 8 share a core.
  const placement p(describe_topology("pack:2 [numa] l3:2 core:2 pu:2"), 16);
  EXPECT_EQ(rings(p, 0), (ring_list{{8}, {1, 9}, {2, 3, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}}));
  EXPECT_EQ(rings(p, 15), (ring_list{{7}, {6, 14}, {4, 5, 12, 13}, {0, 1, 2, 3, 8, 9, 10, 11}}));
}

TEST(Rings, CoresThatShareAnL2ComeBeforeTheRestOfTheL3) {
  const placement p(describe_topology("[numa] l3:1 l2:2 core:2 pu:1"), 4);
  EXPECT_EQ(rings(p, 2), (ring_list{{3}, {0, 1}}));
}

TEST(Rings, CachesThatAreNotToldAreNotShared) {
  const placement p(describe_topology("[numa] core:3 pu:1"), 3);
  EXPECT_EQ(rings(p, 1), (ring_list{{0, 2}}));
  const topology mixed = describe_topology("[numa] l3:1 core:2 pu:1", os::cpu_mask({0, 1, 8, 9}));
  EXPECT_EQ(rings(placement(mixed, 4), 0), (ring_list{{1}, {2, 3}}));
  EXPECT_EQ(rings(placement(mixed, 4), 2), (ring_list{{3}, {0, 1}}));
}

TEST(Rings, NodesOfTheSamePackageComeFirstEvenWithoutDistances) {
  const placement p(describe_topology("pack:2 numa:2 core:1 pu:1"), 4);
  EXPECT_EQ(rings(p, 0), (ring_list{{1}, {2, 3}}));
  EXPECT_EQ(rings(p, 3), (ring_list{{2}, {0, 1}}));
}

TEST(Rings, PackagesWithinOneNodeAreApart) {  // as many virtual machines look
  const placement p(describe_topology("[numa] pack:2 core:2 pu:1"), 4);
  EXPECT_EQ(rings(p, 0), (ring_list{{1}, {2, 3}}));
}

TEST(Rings, RemoteNodesByDistanceAsSeenFromTheWorker) {
  topology t = describe_topology("pack:4 [numa] core:1 pu:1");
  t.node_distances = {10, 30, 20, 30,  //
                      40, 10, 20, 30,  //
                      20, 20, 10, 20,  //
                      25, 40, 30, 10};
  const placement p(t, 4);
  const auto on_node = [&](unsigned node) {
    for (unsigned w = 0; w < 4; ++w) {
      if (p.cpu_of(w).numa_node == node) return w;
    }
    return unknown_id;
  };
  const auto nodes_of_rings = [&](unsigned node) {
    ring_list by_node = rings(p, on_node(node));
    for (auto& ring : by_node) {
      for (unsigned& w : ring) w = p.cpu_of(w).numa_node;
      std::sort(ring.begin(), ring.end());
    }
    return by_node;
  };
  EXPECT_EQ(nodes_of_rings(0), (ring_list{{2}, {1, 3}}));
  EXPECT_EQ(nodes_of_rings(1), (ring_list{{2}, {3}, {0}}));
  EXPECT_EQ(nodes_of_rings(2), (ring_list{{0, 1, 3}}));
  EXPECT_EQ(nodes_of_rings(3), (ring_list{{0}, {2}, {1}}));
}

// --- all of it, against the definition: ring k of a worker = all others of its k-th smallest distance

using distance_class = std::tuple<int, unsigned>;

distance_class class_of(const topology& t, const cpu& a, const cpu& b) {
  const auto share = [](unsigned x, unsigned y) { return x == y && x != unknown_id; };
  if (a.core == b.core) return {0, 0};
  if (a.numa_node == b.numa_node) {
    if (share(a.l2, b.l2)) return {1, 0};
    if (share(a.l3, b.l3)) return {2, 0};
    return {a.package == b.package ? 3 : 4, 0};
  }
  return {a.package == b.package ? 5 : 6, t.distance(a.numa_node, b.numa_node)};
}

struct machine_case {
  const char* name;
  const char* text;
  std::vector<unsigned> mask;  // empty = all
};

const machine_case machines[] = {
    {"one_core", "core:1 pu:1", {}},
    {"one_core_smt", "core:1 pu:2", {}},
    {"two_cores", "[numa] l3:1 core:2 pu:1", {}},
    {"flat_without_hwloc", "nonsense", {0, 2, 5}},
    {"two_packages_of_64_smt", "pack:2 [numa] l3:1 l2:64 core:1 pu:2", {}},
    {"four_nodes", "pack:4 [numa] l3:1 core:4 pu:2", {}},
    {"eight_nodes", "pack:2 numa:4 l3:1 core:4 pu:2", {}},
    {"l3_groups", "pack:2 [numa] l3:8 l2:8 core:1 pu:2", {}},
    {"l2_clusters", "pack:1 [numa] l3:1 l2:4 core:4 pu:1", {}},
    {"packages_in_a_node", "[numa] pack:2 l3:1 core:2 pu:2", {}},
    {"mask_with_holes", "pack:2 [numa] l3:2 core:4 pu:2", {1, 2, 3, 9, 12, 20, 22, 23, 31, 40}},
};

class AllRings : public testing::TestWithParam<machine_case> {};

TEST_P(AllRings, HoldEveryOtherWorkerOnceInOrderOfDistance) {
  const machine_case& machine = GetParam();
  const topology t = describe_topology(machine.text, os::cpu_mask(machine.mask));
  const auto cpus = static_cast<unsigned>(t.cpus.size());
  for (const unsigned workers : {1U, 2U, 3U, 7U, cpus, cpus + 1, 2 * cpus + 3}) {
    const placement p(t, workers);
    for (unsigned w = 0; w < workers; ++w) {
      std::map<distance_class, std::vector<unsigned>> expected;
      for (unsigned other = 0; other < workers; ++other) {
        if (other != w) expected[class_of(t, p.cpu_of(w), p.cpu_of(other))].push_back(other);
      }
      ring_list in_order;
      for (const auto& [how_far, ring] : expected) in_order.push_back(ring);
      ASSERT_EQ(rings(p, w), in_order) << "worker " << w << " of " << workers;
    }
  }
}

TEST_P(AllRings, CpusAreUsedEvenlyAndCoresFirst) {
  const machine_case& machine = GetParam();
  const topology t = describe_topology(machine.text, os::cpu_mask(machine.mask));
  const auto cpus = static_cast<unsigned>(t.cpus.size());
  const placement p(t, 2 * cpus);
  std::map<unsigned, unsigned> uses;
  for (unsigned w = 0; w < p.workers(); ++w) {
    ++uses[p.cpu_of(w).os_index];
  }
  for (unsigned w = 1; w < cpus; ++w) EXPECT_GE(p.cpu_of(w).smt_rank, p.cpu_of(w - 1).smt_rank);
  EXPECT_EQ(uses.size(), cpus);
  for (const auto& [index, count] : uses) EXPECT_EQ(count, 2U) << index;
}

INSTANTIATE_TEST_SUITE_P(Machines, AllRings, testing::ValuesIn(machines),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Rings, MovingAPlacementKeepsThem) {
  placement first(describe_topology("pack:2 [numa] core:2 pu:2"), 8);
  const ring_list before = rings(first, 5);
  const placement second = std::move(first);
  EXPECT_EQ(rings(second, 5), before);
}

TEST(Rings, MemoryGrowsWithWorkersTimesNodesNotWithTheirSquare) {
  const topology t = describe_topology("pack:8 [numa] l3:2 core:8 pu:2");
  constexpr unsigned workers = 1000;
  // Of each node a layout of all workers; of each worker a CPU and at most six levels, and a ring per remote node.
  const std::size_t levels = 6 + t.numa_nodes.size();
  const std::size_t bound = workers * (t.numa_nodes.size() * sizeof(unsigned) + sizeof(cpu) +
                                       2 * levels * 2 * sizeof(unsigned) + 2 * sizeof(unsigned));
  EXPECT_LE(placement(t, workers).bytes(), bound);
  EXPECT_LT(bound, std::size_t{workers} * workers * sizeof(unsigned));
}

}  // namespace
}  // namespace remuda::topo
