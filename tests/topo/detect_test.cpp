#include "runtime/topo/detect.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>
#include <vector>

namespace remuda::topo {
namespace {

std::vector<unsigned> os_indices(const topology& t) {
  std::vector<unsigned> indices;
  indices.reserve(t.cpus.size());
  for (const cpu& each : t.cpus) indices.push_back(each.os_index);
  return indices;
}

template <class Member>
std::size_t distinct(const topology& t, Member member) {
  std::set<unsigned> values;
  for (const cpu& each : t.cpus) values.insert(each.*member);
  return values.size();
}

bool any_known(const topology& t, unsigned cpu::*member) {
  for (const cpu& each : t.cpus) {
    if (each.*member != unknown_id) return true;
  }
  return false;
}

TEST(Detect, OneCore) {
  const topology t = describe_topology("core:1 pu:1");
  ASSERT_EQ(t.cpus.size(), 1U);
  EXPECT_EQ(t.cpus[0].os_index, 0U);
  EXPECT_EQ(t.cpus[0].smt_rank, 0U);
  EXPECT_EQ(t.cpus[0].numa_node, 0U);
  EXPECT_EQ(t.cpus[0].l2, unknown_id);
  EXPECT_EQ(t.cpus[0].l3, unknown_id);
  EXPECT_EQ(t.cpus[0].package, unknown_id);
  EXPECT_EQ(t.usable(), 1U);
}

TEST(Detect, TwoPackagesOfManyCoresWithTwoThreads) {
  constexpr unsigned packages = 2, cores = 64, threads = 2;
  const topology t = describe_topology("pack:2 [numa] l3:1 l2:64 core:1 pu:2");
  EXPECT_EQ(t.usable(), packages * cores * threads);
  EXPECT_EQ(distinct(t, &cpu::core), packages * cores);
  EXPECT_EQ(distinct(t, &cpu::l2), packages * cores);
  EXPECT_EQ(distinct(t, &cpu::l3), packages);
  EXPECT_EQ(distinct(t, &cpu::package), packages);
  EXPECT_EQ(t.numa_nodes, (std::vector<unsigned>{0, 1}));
  for (const cpu& each : t.cpus) {
    EXPECT_EQ(each.smt_rank, each.os_index % threads);
    EXPECT_EQ(each.package, each.os_index / (cores * threads));
    EXPECT_EQ(each.numa_node, each.package);
  }
}

TEST(Detect, SecondThreadsNumberedAfterAllCores) {  // as most x86 machines do
  const topology t = describe_topology("core:4 pu:2(indexes=0,4,1,5,2,6,3,7)");
  ASSERT_EQ(os_indices(t), (std::vector<unsigned>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (const cpu& each : t.cpus) {
    EXPECT_EQ(each.smt_rank, each.os_index / 4);
    EXPECT_EQ(each.core, t.cpus[each.os_index % 4].core);
  }
}

TEST(Detect, FourAndEightNodes) {
  for (const unsigned nodes : {4U, 8U}) {
    const topology t = describe_topology("pack:" + std::to_string(nodes) + " [numa] core:3 pu:1");
    EXPECT_EQ(t.numa_nodes.size(), nodes);
    std::map<unsigned, unsigned> cpus_of_node;
    for (const cpu& each : t.cpus) ++cpus_of_node[each.numa_node];
    EXPECT_EQ(cpus_of_node.size(), nodes);
    for (const auto& [node, count] : cpus_of_node) EXPECT_EQ(count, 3U) << node;
  }
}

TEST(Detect, SeveralL3PerNode) {
  const topology t = describe_topology("pack:1 [numa] l3:4 l2:4 core:1 pu:2");
  EXPECT_EQ(distinct(t, &cpu::l3), 4U);
  EXPECT_EQ(distinct(t, &cpu::l2), 16U);
  EXPECT_EQ(distinct(t, &cpu::numa_node), 1U);
}

TEST(Detect, NodesOnBothLevelsGiveTheCpuItsOwn) {
  const topology t = describe_topology("[numa] pack:2 [numa] core:2 pu:1");
  EXPECT_EQ(t.numa_nodes.size(), 3U);
  for (const cpu& each : t.cpus) EXPECT_NE(each.numa_node, unknown_id);
}

// Node 0 with memory, node 1 without, node 2 without CPUs, and a third package without a node.
const char odd_nodes[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x7" complete_cpuset="0x7" allowed_cpuset="0x7" nodeset="0x7"
          complete_nodeset="0x7" allowed_nodeset="0x7" gp_index="1">
    <object type="NUMANode" os_index="2" cpuset="0x0" complete_cpuset="0x0" nodeset="0x4" complete_nodeset="0x4"
            gp_index="2" local_memory="1024"/>
    <object type="Package" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
            gp_index="3">
      <object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
              gp_index="4" local_memory="1024"/>
      <object type="Core" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
              gp_index="5">
        <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"
                gp_index="6"/>
      </object>
    </object>
    <object type="Package" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2"
            gp_index="7">
      <object type="NUMANode" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2"
              gp_index="8"/>
      <object type="Core" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2"
              gp_index="9">
        <object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2"
                gp_index="10"/>
      </object>
    </object>
    <object type="Package" os_index="2" cpuset="0x4" complete_cpuset="0x4" nodeset="0x0" complete_nodeset="0x0"
            gp_index="11">
      <object type="Core" os_index="2" cpuset="0x4" complete_cpuset="0x4" nodeset="0x0" complete_nodeset="0x0"
              gp_index="12">
        <object type="PU" os_index="2" cpuset="0x4" complete_cpuset="0x4" nodeset="0x0" complete_nodeset="0x0"
                gp_index="13"/>
      </object>
    </object>
  </object>
  <distances2 type="NUMANode" nbobjs="3" kind="5" name="NUMALatency" indexing="os">
    <indexes length="6">1 0 2 </indexes>
    <u64values length="27">10 21 31 22 10 32 33 34 10 </u64values>
  </distances2>
</topology>
)";

TEST(Detect, NodesWithoutMemoryOrWithoutCpusAndCpusWithoutNode) {
  const topology t = describe_topology(odd_nodes);
  ASSERT_EQ(os_indices(t), (std::vector<unsigned>{0, 1, 2}));
  EXPECT_EQ(t.numa_nodes, (std::vector<unsigned>{0, 1, 2}));
  EXPECT_EQ(t.cpus[0].numa_node, 0U);
  EXPECT_EQ(t.cpus[1].numa_node, 1U);
  EXPECT_EQ(t.cpus[2].numa_node, 2U);  // hwloc: a node of the machine as a whole is near to who has no other
  EXPECT_EQ(distinct(t, &cpu::package), 3U);
}

TEST(Detect, DistancesAreSortedByNodeAndMayDifferByDirection) {
  const topology t = describe_topology(odd_nodes);  // the matrix names node 1 first
  EXPECT_EQ(t.distance(1, 0), 21U);
  EXPECT_EQ(t.distance(0, 1), 22U);
  EXPECT_EQ(t.distance(1, 2), 31U);
  EXPECT_EQ(t.distance(2, 1), 33U);
  for (const unsigned node : t.numa_nodes) EXPECT_EQ(t.distance(node, node), topology::local_distance);
  EXPECT_EQ(t.distance(0, unknown_id), topology::remote_distance);
  EXPECT_EQ(t.distance(7, 0), topology::remote_distance);
}

TEST(Detect, NodesByDistanceTheOwnOneFirst) {
  topology t = describe_topology("pack:4 [numa] core:1 pu:1");
  t.node_distances = {10, 20, 30, 40,  //
                      20, 10, 30, 20,  //
                      9,  10, 10, 15,  //
                      40, 25, 15, 10};
  using nodes = std::vector<unsigned>;
  EXPECT_EQ(t.nodes_by_distance(0), (nodes{0, 1, 2, 3}));
  EXPECT_EQ(t.nodes_by_distance(1), (nodes{1, 0, 3, 2})) << "those equally far by number";
  EXPECT_EQ(t.nodes_by_distance(2), (nodes{2, 0, 1, 3})) << "whatever the firmware says of nodes nearer than near";
  EXPECT_EQ(t.nodes_by_distance(3), (nodes{3, 2, 1, 0}));
  EXPECT_EQ(t.nodes_by_distance(7), (nodes{0, 1, 2, 3})) << "of a node that nobody knows";
  t.node_distances.clear();
  EXPECT_EQ(t.nodes_by_distance(2), (nodes{2, 0, 1, 3}));
}

TEST(Detect, WithoutAMatrixAllOtherNodesAreEquallyFar) {
  const topology t = describe_topology("pack:2 [numa] core:1 pu:1");
  EXPECT_TRUE(t.node_distances.empty());
  EXPECT_EQ(t.distance(0, 1), topology::remote_distance);
  EXPECT_EQ(t.distance(1, 1), topology::local_distance);
}

TEST(Detect, AMaskWithHolesKeepsItsCpusOnly) {
  const std::vector<unsigned> allowed{1, 2, 5, 6, 7};
  const topology t = describe_topology("pack:2 [numa] core:2 pu:2", os::cpu_mask(allowed));
  EXPECT_EQ(os_indices(t), allowed);
  EXPECT_EQ(t.usable(), allowed.size());
  const std::vector<unsigned> expected_ranks{0, 0, 0, 0, 1};  // 1, 2 and 5 are alone on their cores
  for (std::size_t i = 0; i < allowed.size(); ++i) EXPECT_EQ(t.cpus[i].smt_rank, expected_ranks[i]) << allowed[i];
  EXPECT_EQ(t.numa_nodes.size(), 2U);
}

TEST(Detect, CpusOfTheMaskThatTheMachineDoesNotKnowAreCoresOfTheirOwn) {
  const topology t = describe_topology("pack:1 l3:1 core:2 pu:1", os::cpu_mask({1, 2, 2000}));
  ASSERT_EQ(os_indices(t), (std::vector<unsigned>{1, 2, 2000}));
  EXPECT_EQ(distinct(t, &cpu::core), t.cpus.size());
  EXPECT_NE(t.cpus[0].l3, unknown_id);
  EXPECT_EQ(t.cpus[1].l3, unknown_id);
  EXPECT_EQ(t.cpus[2].numa_node, unknown_id);
}

TEST(Detect, WhereHwlocFailsTheMaskAloneMakesAFlatMachine) {
  for (const char* refused : {"", "nonsense", "<no xml", "<?xml version=\"1.0\"?><topology/>", "pu:0"}) {
    const topology t = describe_topology(refused, os::cpu_mask({0, 3, 9}));
    EXPECT_EQ(os_indices(t), (std::vector<unsigned>{0, 3, 9})) << refused;
    EXPECT_EQ(t.usable(), 3U);
    EXPECT_EQ(distinct(t, &cpu::core), 3U);
    for (const auto member : {&cpu::l2, &cpu::l3, &cpu::package, &cpu::numa_node}) EXPECT_FALSE(any_known(t, member));
    for (const cpu& each : t.cpus) EXPECT_EQ(each.smt_rank, 0U);
    EXPECT_EQ(describe_topology(refused).usable(), 1U);
  }
}

TEST(Detect, UsableIsTheSmallerOfCpusAndWholeQuotaButAtLeastOne) {
  const auto usable = [](double quota) { return describe_topology("core:8 pu:1", quota).usable(); };
  EXPECT_EQ(usable(0.5), 1U);
  EXPECT_EQ(usable(1.0), 1U);
  EXPECT_EQ(usable(1.5), 1U);
  EXPECT_EQ(usable(7.99), 7U);
  EXPECT_EQ(usable(8.0), 8U);
  EXPECT_EQ(usable(64), 8U);
  EXPECT_EQ(usable(std::numeric_limits<double>::infinity()), 8U);
  EXPECT_EQ(describe_topology("core:8 pu:1", os::cpu_mask({4, 5}), 1.5).usable(), 1U);
  EXPECT_EQ(describe_topology("core:8 pu:1", os::cpu_mask({4, 5}), 64).usable(), 2U);
}

TEST(DetectThisMachine, CpusAreThoseOfTheAffinityMask) {
  os::cpu_mask mask;
  ASSERT_EQ(os::get_affinity(mask), 0);
  const topology t = remuda::detect_topology();
  EXPECT_EQ(os_indices(t), mask.cpus());
  EXPECT_GE(t.usable(), 1U);
  EXPECT_LE(t.usable(), t.cpus.size());
}

TEST(DetectThisMachine, LooksAtTheMaskAgainAtEachCall) {
  const topology before = remuda::detect_topology();
  const unsigned last = before.cpus.back().os_index;
  std::thread([&] {
    ASSERT_EQ(os::pin_to_cpu(last), 0);
    const topology pinned = remuda::detect_topology();
    ASSERT_EQ(os_indices(pinned), std::vector<unsigned>{last});
    EXPECT_EQ(pinned.usable(), 1U);
    EXPECT_EQ(pinned.cpus[0].core, before.cpus.back().core);
    EXPECT_EQ(pinned.cpus[0].smt_rank, 0U);
  }).join();
  EXPECT_EQ(remuda::detect_topology().cpus, before.cpus);
}

TEST(DetectThisMachine, APinnedThreadMayAskForAnotherMask) {
  os::cpu_mask whole;
  ASSERT_EQ(os::get_affinity(whole), 0);
  std::thread([&] {
    ASSERT_EQ(os::pin_to_cpu(whole.cpus().front()), 0);
    EXPECT_EQ(os_indices(detect_topology(whole)), whole.cpus());
  }).join();
}

TEST(DetectThisMachine, LeavesTheCallersBindingAlone) {
  os::cpu_mask before, after;
  ASSERT_EQ(os::get_affinity(before), 0);
  remuda::detect_topology();
  ASSERT_EQ(os::get_affinity(after), 0);
  EXPECT_EQ(after, before);
}

TEST(DetectThisMachine, ManyThreadsMayAskAtOnce) {
  std::vector<topology> seen(8);
  std::vector<std::thread> threads;
  threads.reserve(seen.size());
  for (topology& each : seen) threads.emplace_back([&each] { each = remuda::detect_topology(); });
  for (std::thread& t : threads) t.join();
  for (const topology& each : seen) EXPECT_EQ(each.cpus, seen.front().cpus);
}

}  // namespace
}  // namespace remuda::topo
