#include "runtime/topo/whole_machine.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/topo/detect.hpp"
#include "tests/topo/machines.hpp"

namespace remuda::topo {
namespace {

using numbers = std::vector<unsigned>;

whole_machine describe(const std::string& text, const numbers& mask = {}) {
  return machine_source::described(text).whole(os::cpu_mask(mask));
}

numbers of_use(const whole_machine& whole, cpu_use use) {
  numbers found;
  for (const auto& each : whole.threads) {
    if (each.use == use) found.push_back(each.what.os_index);
  }
  return found;
}

TEST(WholeMachine, OfOneCore) {
  const whole_machine whole = describe("core:1 pu:1");
  ASSERT_EQ(whole.threads.size(), 1U);
  EXPECT_EQ(whole.threads[0].use, cpu_use::allowed);
  EXPECT_EQ(whole.threads[0].kind, unknown_id);
  EXPECT_TRUE(whole.kinds.empty());
}

TEST(WholeMachine, MemoryAndCachesHaveSizes) {
  const whole_machine whole =
      describe("pack:2 [numa(memory=8589934592)] l3:1(size=33554432) l2:2(size=1048576) core:1 pu:2");
  ASSERT_EQ(whole.nodes.size(), 2U);
  EXPECT_EQ(whole.nodes[1].os_index, 1U);
  EXPECT_EQ(whole.nodes[1].memory_bytes, std::uint64_t{8} << 30);
  EXPECT_EQ(whole.nodes[1].cpus, 4U);
  EXPECT_EQ(whole.memory_bytes(), std::uint64_t{16} << 30);
  ASSERT_EQ(whole.l3.size(), 2U);
  EXPECT_EQ(whole.l3[1].id, 1U);
  EXPECT_EQ(whole.l3[1].bytes, 33554432U);
  ASSERT_EQ(whole.l2.size(), 4U);
  EXPECT_EQ(whole.l2[3].bytes, 1048576U);
}

TEST(WholeMachine, WhatTheMaskLeavesOutIsThereWithItsPlace) {
  const whole_machine whole = describe("pack:2 [numa] core:2 pu:2", {1, 2, 6});
  EXPECT_EQ(whole.threads.size(), 8U);
  EXPECT_EQ(of_use(whole, cpu_use::allowed), (numbers{1, 2, 6}));
  EXPECT_EQ(of_use(whole, cpu_use::not_in_mask), (numbers{0, 3, 4, 5, 7}));
  EXPECT_EQ(whole.threads[0].what.core, whole.threads[1].what.core);
  EXPECT_EQ(whole.threads[1].what.smt_rank, 1U);  // of all threads of the core, not only of the usable ones
  EXPECT_EQ(whole.threads[7].what.numa_node, 1U);
}

TEST(WholeMachine, CpusOfTheMaskThatItDoesNotKnowAreAllowed) {
  const whole_machine whole = describe("core:2 pu:1", {1, 9});
  EXPECT_EQ(of_use(whole, cpu_use::allowed), (numbers{1, 9}));
  EXPECT_EQ(of_use(whole, cpu_use::not_in_mask), (numbers{0}));
}

TEST(WholeMachine, KindsOfCoresFromSlowToFast) {
  const whole_machine whole = describe(topo_test::hybrid);
  ASSERT_EQ(whole.kinds.size(), 2U);
  EXPECT_EQ(whole.kinds[0].name, "E");
  EXPECT_EQ(whole.kinds[0].threads, 4U);
  EXPECT_EQ(whole.kinds[1].name, "P");
  for (const auto& each : whole.threads) {
    EXPECT_EQ(each.kind, each.what.os_index < 4 ? 1U : 0U) << each.what.os_index;
    EXPECT_EQ(each.what.efficiency_class, each.kind) << each.what.os_index;
  }
}

TEST(WholeMachine, CoresThatAreAlikeHaveNoKinds) {
  // Some cores of one kind may be allowed a higher frequency than others.
  std::string by_frequency = topo_test::hybrid;
  for (const std::string was : {R"("CoreType" value="IntelAtom")", R"("CoreType" value="IntelCore")"}) {
    by_frequency.replace(
        by_frequency.find(was), was.size(),
        was.ends_with("Atom\"") ? R"("FrequencyMaxMHz" value="3000")" : R"("FrequencyMaxMHz" value="5000")");
  }
  for (const std::string& text : {std::string("pack:2 [numa] core:4 pu:2"), by_frequency}) {
    const whole_machine whole = describe(text.c_str());
    EXPECT_TRUE(whole.kinds.empty());
    for (const auto& each : whole.threads) {
      EXPECT_EQ(each.kind, unknown_id);
      EXPECT_EQ(each.what.efficiency_class, 0U);
    }
  }
}

TEST(WholeMachine, NodesWithoutMemoryDistancesAndOfflineCpus) {
  const whole_machine whole = describe(topo_test::four_nodes);
  ASSERT_EQ(whole.nodes.size(), 4U);
  EXPECT_EQ(whole.nodes[2].memory_bytes, std::uint64_t{8} << 30);
  EXPECT_EQ(whole.nodes[3].memory_bytes, 0U);
  EXPECT_EQ(whole.nodes[3].cpus, 2U);
  EXPECT_EQ(whole.node_distances, (numbers{10, 16, 16, 22, 16, 10, 22, 16, 16, 22, 10, 16, 22, 16, 16, 10}));
  EXPECT_EQ(of_use(whole, cpu_use::offline), (numbers{8}));
  EXPECT_EQ(of_use(whole, cpu_use::allowed).size(), 8U);
  EXPECT_EQ(whole.threads.back().what.core, unknown_id);
}

TEST(WholeMachine, GivesPoolsTheSameAsDetection) {
  for (const std::string text : {"pack:2 [numa] l3:2 core:4 pu:2", topo_test::hybrid, topo_test::four_nodes}) {
    const machine_source source = machine_source::described(text);
    ASSERT_TRUE(source.known());
    const os::cpu_mask mask({0, 1, 5});
    EXPECT_EQ(source.usable(mask, 1.5).cpus, describe_topology(text, mask, 1.5).cpus);
    EXPECT_EQ(source.usable(mask, 1.5).cpu_quota, 1.5);
    EXPECT_EQ(source.usable({}).cpus, describe_topology(text).cpus);
    EXPECT_EQ(source.usable({}).node_distances, describe_topology(text).node_distances);
  }
}

TEST(WholeMachine, ComesBackFromItsOwnXml) {
  for (const std::string text : {"pack:2 [numa] l3:2 core:4 pu:2", topo_test::hybrid, topo_test::four_nodes}) {
    const machine_source source = machine_source::described(text);
    const machine_source again = machine_source::described(source.xml());
    ASSERT_TRUE(again.known());
    EXPECT_EQ(again.usable({}).cpus, source.usable({}).cpus);
    EXPECT_EQ(again.whole({}).kinds.size(), source.whole({}).kinds.size());
    EXPECT_EQ(again.whole({}).node_distances, source.whole({}).node_distances);
  }
}

TEST(WholeMachine, WhatNoKernelHasIsRefusedBeforeItIsBuilt) {
  for (const char* text : {"core:4097 pu:1", "pack:100000 core:100000 pu:100000", "99999999999999999999 2",
                           "pack:64 core:64 pu:4", "3000 3000", "0x1000 0x1000",
                           "pack:2 [numa] l3:64 core:64 pu:64(indexes=0)", "nonsense", "", "<no xml", "pu:0"}) {
    const machine_source source = machine_source::described(text);
    EXPECT_FALSE(source.known()) << text;
    EXPECT_TRUE(source.xml().empty());
    EXPECT_EQ(source.whole({}).threads.size(), 1U);
    EXPECT_EQ(source.whole(os::cpu_mask({3, 4})).threads.size(), 2U);
  }
  for (const char* text :
       {"pack:64 core:64 pu:1", "pack:2 [numa(memory=99999999999)] l3:32(size=999999) core:16 pu:4"}) {
    const machine_source source = machine_source::described(text);
    EXPECT_TRUE(source.known()) << text;
    EXPECT_EQ(source.cpus().size(), most_described_cpus);
  }
}

TEST(WholeMachineHere, HasAllThatDetectionFinds) {
  os::cpu_mask mask;
  ASSERT_EQ(os::get_affinity(mask), 0);
  const machine_source source = machine_source::this_machine();
  EXPECT_EQ(source.usable(mask).cpus, remuda::detect_topology().cpus);
  EXPECT_EQ(of_use(source.whole(mask), cpu_use::allowed), mask.cpus());
}

TEST(WholeMachineHere, TellsWhatIsLeftOutByTheMask) {
  const machine_source source = machine_source::this_machine();
  const numbers online = source.cpus();
  const whole_machine whole = source.whole(os::cpu_mask({online.front()}));
  EXPECT_EQ(of_use(whole, cpu_use::allowed), (numbers{online.front()}));
  EXPECT_EQ(of_use(whole, cpu_use::not_in_mask).size() + of_use(whole, cpu_use::not_in_cpuset).size(),
            online.size() - 1);
}

}  // namespace
}  // namespace remuda::topo
