// That the machine is the one that was asked for, and that the library sees in it what the kernel says.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "remuda/topology.hpp"
#include "tests/vm/guest/kernel.hpp"

namespace remuda::vm {
namespace {

using set = std::set<unsigned>;

TEST(Machine, IsTheOneThatWasAskedFor) {
  const machine& m = machine::get();
  ASSERT_EQ(m.cpus.size(), 8U);
  if (m.name == "two_sockets") {
    EXPECT_EQ(m.nodes, (set{0, 1}));
    EXPECT_EQ(m.with_memory, m.nodes);
    EXPECT_EQ(m.cores(), (set{0, 2, 4, 6})) << "two threads each";
    EXPECT_EQ(m.distance.at(0).at(1), 21U);
  } else {
    ASSERT_EQ(m.name, "four_nodes");
    EXPECT_EQ(m.nodes, (set{0, 1, 2, 3}));
    EXPECT_EQ(m.with_memory, (set{0, 1, 2}));
    EXPECT_EQ(m.cores().size(), 8U);
    EXPECT_EQ(m.memory_for(3, m.with_memory), 2U) << "of the node without memory";
  }
}

TEST(Machine, ItsCpusAreWhatTheLibrarySees) {
  const machine& m = machine::get();
  const topology seen = detect_topology();
  EXPECT_EQ(seen.usable(), m.cpus.size());
  set cpus;
  for (const cpu& each : seen.cpus) {
    cpus.insert(each.os_index);
    EXPECT_EQ(each.numa_node, m.node_of.at(each.os_index)) << "CPU " << each.os_index;
    const set& threads = m.threads_of_core.at(each.os_index);
    for (const cpu& other : seen.cpus) {
      EXPECT_EQ(each.core == other.core, threads.contains(other.os_index))
          << "CPUs " << each.os_index << " and " << other.os_index;
      EXPECT_EQ(each.package == other.package, m.package_of.at(each.os_index) == m.package_of.at(other.os_index))
          << "CPUs " << each.os_index << " and " << other.os_index;
    }
  }
  EXPECT_EQ(cpus, m.cpus);
}

TEST(Machine, ItsNodesAndDistancesAreWhatTheLibrarySees) {
  const machine& m = machine::get();
  const topology seen = detect_topology();
  EXPECT_EQ(set(seen.numa_nodes.begin(), seen.numa_nodes.end()), m.nodes) << "those without memory included";
  for (const unsigned from : m.nodes) {
    for (const unsigned to : m.nodes) {
      EXPECT_EQ(seen.distance(from, to), m.distance.at(from).at(to)) << from << " to " << to;
    }
  }
}

}  // namespace
}  // namespace remuda::vm
