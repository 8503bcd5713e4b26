// Where worker processes sit: on the CPU that the placement gives them, with their shared memory on that CPU's node.

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/sched/seating.hpp"
#include "tests/support/process_pool.hpp"

namespace remuda::test {
namespace {

std::vector<int> mask_of(pid_t process) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(::sched_getaffinity(process, sizeof mask, &mask), 0);
  std::vector<int> cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &mask)) cpus.push_back(i);
  }
  return cpus;
}

/// The line of the kernel's list for the memory that this worker shares with the parent.
std::string policy_of_shared_memory() {
  std::ifstream lines("/proc/self/numa_maps");
  std::string line;
  while (std::getline(lines, line) && line.find("memfd:remuda\\040") == std::string::npos) {
  }
  if (!lines) line = "not found";
  return line;
}

TEST(ProcessPlacement, P33_EachWorkerIsOnTheCpuThatStatsTells) {
  process_pool pool(with_workers(3));
  processes_of(pool);
  for (const auto& w : pool.stats().workers) EXPECT_EQ(mask_of(w.pid), std::vector<int>{w.cpu});
}

TEST(ProcessPlacement, P33_AReplacementSitsWhereTheOtherSat) {
  process_pool pool(with_workers(2));
  const auto before = pool.stats().workers;
  ASSERT_THROW(pool.submit([] { ::_exit(3); }).get(), worker_died);
  processes_of(pool);
  const auto after = pool.stats().workers;
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].cpu, before[i].cpu);
    // Its process id is known before it has come that far.
    EXPECT_TRUE(eventually([&] { return mask_of(after[i].pid) == std::vector<int>{before[i].cpu}; }));
  }
}

TEST(ProcessPlacement, P16_WorkersStayWithinTheMaskOfWhoMakesThePool) {
  std::thread([] {
    const int last = mask_of(0).back();
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(last, &only);
    ASSERT_EQ(::sched_setaffinity(0, sizeof only, &only), 0);
    process_pool pool(with_workers(2));
    for (const pid_t worker : processes_of(pool)) EXPECT_EQ(mask_of(worker), std::vector<int>{last});
  }).join();
}

TEST(ProcessPlacement, P33_WithoutPinningWorkersHaveTheWholeMask) {
  auto options = with_workers(2);
  options.pin = false;
  process_pool pool(options);
  const auto whole = mask_of(0);
  for (const pid_t worker : processes_of(pool)) EXPECT_EQ(mask_of(worker), whole);
}

TEST(ProcessPlacement, P33_SharedMemoryIsOnTheWorkersNode) {
  process_pool pool(with_workers(1));
  const int cpu = pool.stats().workers.front().cpu;
  unsigned node = unknown_id;
  for (const auto& each : detail::machine_within(detail::inherited_mask()).cpus) {
    if (static_cast<int>(each.os_index) == cpu) node = each.numa_node;
  }
  ASSERT_NE(node, unknown_id);
  const std::string line = pool.submit(policy_of_shared_memory).get();
  EXPECT_NE(line.find("prefer:" + std::to_string(node)), std::string::npos) << line;
}

TEST(ProcessPlacement, P33_WithoutPinningMemoryIsLeftToTheSystem) {
  auto options = with_workers(1);
  options.pin = false;
  process_pool pool(options);
  const std::string line = pool.submit(policy_of_shared_memory).get();
  EXPECT_NE(line.find("default"), std::string::npos) << line;
}

}  // namespace
}  // namespace remuda::test
