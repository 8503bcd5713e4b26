#include "runtime/os/this_node.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "runtime/os/affinity.hpp"

namespace remuda::os {
namespace {

/// The M of the link nodeM in the CPU's directory. There is none where the kernel does without NUMA.
unsigned node_in(const std::filesystem::path& cpu_directory) {
  const std::string prefix = "node";
  for (const auto& entry : std::filesystem::directory_iterator(cpu_directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) return static_cast<unsigned>(std::stoul(name.substr(prefix.size())));
  }
  return 0;
}

TEST(ThisNode, IsThatOfTheCpuOnWhichTheThreadIs) {
  std::thread([] {
    cpu_mask all;
    ASSERT_EQ(get_affinity(all), 0);
    for (const unsigned cpu : all.cpus()) {
      const std::filesystem::path directory = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
      if (!std::filesystem::exists(directory)) continue;  // a container without /sys
      ASSERT_EQ(pin_to_cpu(cpu), 0);
      EXPECT_EQ(this_node(), node_in(directory)) << "on CPU " << cpu;
    }
  }).join();
}

}  // namespace
}  // namespace remuda::os
