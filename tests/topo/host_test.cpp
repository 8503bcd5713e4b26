#include "runtime/topo/host.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "tests/tools/run_program.hpp"

namespace remuda::topo {
namespace {

using numbers = std::vector<unsigned>;
using names = std::vector<std::string>;

// A machine made of files.
class Host : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) { files_.write(path, text); }
  host read() const { return read_host(files_.path().native()); }

  void cpuinfo(const std::string& flags) {
    write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\nflags\t\t: " + flags + "\nbogomips: 1\n");
  }
  void firmware(const std::string& vendor, const std::string& product) {
    write("sys/class/dmi/id/sys_vendor", vendor + "\n");
    write("sys/class/dmi/id/product_name", product + "\n");
  }

  const std::string cpus_ = "sys/devices/system/cpu/";
  tools_test::temporary_folder files_;
};

TEST_F(Host, WithoutFilesNothingIsKnown) {
  const host h = read();
  for (const std::string& text : {h.kernel, h.cpu_model, h.hypervisor, h.frequency_driver, h.clock_source,
                                  h.transparent_huge_pages, h.huge_page_defrag}) {
    EXPECT_EQ(text, "");
  }
  for (const numbers& list : {h.online, h.isolated, h.nohz_full, h.rcu_nocbs}) EXPECT_EQ(list, numbers{});
  EXPECT_FALSE(h.boost || h.smt_active || h.steal_share || h.numa_balancing || h.deepest_idle_us);
  EXPECT_TRUE(h.governors.empty());
  EXPECT_TRUE(h.cgroups.empty());
  EXPECT_EQ(h.memory_bytes, 0U);
  EXPECT_EQ(h.load_1min, 0);
}

TEST_F(Host, KernelCpuAndClock) {
  write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  cpuinfo("fpu sse");
  write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc \n");
  const host h = read();
  EXPECT_EQ(h.kernel, "6.1.0-18-amd64");
  EXPECT_EQ(h.cpu_model, "Some CPU @ 3.00GHz");
  EXPECT_EQ(h.clock_source, "tsc");
}

TEST_F(Host, CpuLists) {
  write(cpus_ + "online", "0-7\n");
  write(cpus_ + "isolated", "2-3,5\n");
  write(cpus_ + "nohz_full", "2-3\n");
  write("proc/cmdline", "quiet rcu_nocbs=5,6-N isolcpus=2\n");
  const host h = read();
  EXPECT_EQ(h.online, (numbers{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(h.isolated, (numbers{2, 3, 5}));
  EXPECT_EQ(h.nohz_full, (numbers{2, 3}));
  EXPECT_EQ(h.rcu_nocbs, (numbers{2, 3, 5, 6, 7}));
}

TEST_F(Host, CpuListsThatAreEmptyAllOrNonsense) {
  write(cpus_ + "online", "0-1\n");
  write(cpus_ + "isolated", "\n");
  write(cpus_ + "nohz_full", "  (null)\n");
  write("proc/cmdline", "rcu_nocbs=all\n");
  host h = read();
  EXPECT_EQ(h.isolated, numbers{});
  EXPECT_EQ(h.nohz_full, numbers{});
  EXPECT_EQ(h.rcu_nocbs, h.online);
  write("proc/cmdline", "rcu_nocbs=\xff rcu_nocbs xrcu_nocbs=0\n");
  EXPECT_EQ(read().rcu_nocbs, numbers{});
}

TEST_F(Host, GovernorsAreTheDifferentOnesOfAllCpus) {
  write(cpus_ + "cpufreq/policy0/scaling_governor", "powersave\n");
  write(cpus_ + "cpufreq/policy0/scaling_driver", "acpi-cpufreq\n");
  write(cpus_ + "cpufreq/policy1/scaling_governor", "performance\n");
  write(cpus_ + "cpufreq/policy10/scaling_governor", "powersave\n");
  const host h = read();
  EXPECT_EQ(h.governors, (names{"performance", "powersave"}));
  EXPECT_EQ(h.frequency_driver, "acpi-cpufreq");
}

TEST_F(Host, BoostAsEitherDriverTellsIt) {
  write(cpus_ + "intel_pstate/no_turbo", "1\n");
  EXPECT_EQ(read().boost, false);
  write(cpus_ + "intel_pstate/no_turbo", "0\n");
  EXPECT_EQ(read().boost, true);
  write(cpus_ + "cpufreq/boost", "0\n");
  EXPECT_EQ(read().boost, false);
  write(cpus_ + "cpufreq/boost", "maybe\n");
  write(cpus_ + "smt/active", "1\n");
  EXPECT_EQ(read().boost, true);
  EXPECT_EQ(read().smt_active, true);
}

TEST_F(Host, IdleStatesThatAreSwitchedOffDoNotCount) {
  write(cpus_ + "cpu0/cpuidle/state0/latency", "0\n");
  write(cpus_ + "cpu0/cpuidle/state1/latency", "40\n");
  write(cpus_ + "cpu0/cpuidle/state2/latency", "133\n");
  EXPECT_EQ(read().deepest_idle_us, 133U);
  write(cpus_ + "cpu0/cpuidle/state2/disable", "1\n");
  EXPECT_EQ(read().deepest_idle_us, 40U);
}

TEST_F(Host, Memory) {
  write("proc/meminfo", "MemTotal:        2048 kB\nHugePages_Total:       5\nHugePages_Free:        3\nodd\n");
  write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  write("sys/kernel/mm/transparent_hugepage/defrag", "always defer [defer+madvise] madvise never\n");
  write("proc/sys/kernel/numa_balancing", "1\n");
  host h = read();
  EXPECT_EQ(h.memory_bytes, 2048U * 1024);
  EXPECT_EQ(h.reserved_huge_pages, 5U);
  EXPECT_EQ(h.free_huge_pages, 3U);
  EXPECT_EQ(h.transparent_huge_pages, "madvise");
  EXPECT_EQ(h.huge_page_defrag, "defer+madvise");
  EXPECT_EQ(h.numa_balancing, true);
  for (const char* bad : {"always madvise never", "[always", "]always[", ""}) {
    write("sys/kernel/mm/transparent_hugepage/enabled", bad);
    EXPECT_EQ(read().transparent_huge_pages, "") << bad;
  }
}

TEST_F(Host, LoadAndStolenTime) {
  write("proc/loadavg", "3.25 1.76 0.76 4/104 6042\n");
  write("proc/stat", "cpu  40 0 10 30 10 0 5 5 900 900\ncpu0 1 2 3\n");
  const host h = read();
  EXPECT_EQ(h.load_1min, 3.25);
  ASSERT_TRUE(h.steal_share);
  EXPECT_DOUBLE_EQ(*h.steal_share, 0.05);
  for (const char* bad : {"cpu 0 0 0 0 0 0 0 0", "cpu 1 2 3 4 5 6 7", "cpu 1 2 3 4 5 6 7 x", "cpu 1 1 1 1 1 1 1 -9",
                          "intr 1 1 1 1 1 1 1 1", ""}) {
    write("proc/stat", bad);
    EXPECT_EQ(read().steal_share, std::nullopt) << bad;
  }
}

TEST_F(Host, LimitsAreThoseOfThisProcess) {
  rlimit now{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
  const resource_limit told = read().descriptors;
  EXPECT_EQ(told.soft.value_or(RLIM_INFINITY), now.rlim_cur);
  EXPECT_EQ(told.hard.value_or(RLIM_INFINITY), now.rlim_max);
}

TEST_F(Host, CapabilitiesInForce) {
  write("proc/self/status", "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t0000000000804000\n");
  EXPECT_EQ(read().capabilities, (std::uint64_t{1} << 23) + (std::uint64_t{1} << 14));
  write("proc/self/status", "CapEff:\tzzz\n");
  EXPECT_EQ(read().capabilities, 0U);
}

TEST_F(Host, ControlGroups) {
  write("proc/self/cgroup", "0::/a\n");
  write("proc/self/mountinfo", "31 23 0:28 / /v2 rw - cgroup2 cgroup2 rw\n");
  write("v2/a/cpu.max", "150000 100000\n");
  const host h = read();
  ASSERT_EQ(h.cgroups.size(), 2U);
  EXPECT_EQ(h.cgroups[0].quota, 1.5);
}

TEST_F(Host, AWholeMachineHasNoHypervisorWhateverItsMakerRents) {
  cpuinfo("fpu sse");
  firmware("Amazon EC2", "m5.metal");
  EXPECT_EQ(read().hypervisor, "");
}

TEST_F(Host, AVirtualMachineWithoutAName) {
  cpuinfo("fpu hypervisor sse");
  EXPECT_EQ(read().hypervisor, "unknown");
  firmware("A vendor", "that nobody knows");
  EXPECT_EQ(read().hypervisor, "unknown");
}

TEST_F(Host, XenTellsItselfWithoutTheFlagOfTheCpu) {
  cpuinfo("fpu sse");
  write("sys/hypervisor/type", "xen\n");
  EXPECT_EQ(read().hypervisor, "Xen");
}

TEST_F(Host, CpusWithoutFlagsLeaveItToTheFirmware) {
  write("proc/cpuinfo", "processor\t: 0\nCPU part\t: 0xd0c\n");
  EXPECT_EQ(read().hypervisor, "");
  firmware("QEMU", "KVM Virtual Machine");
  EXPECT_EQ(read().hypervisor, "KVM");
}

struct maker {
  const char* vendor;
  const char* product;
  const char* name;
};

TEST_F(Host, HypervisorsByTheirFirmware) {
  cpuinfo("hypervisor");
  for (const maker& each : {maker{"QEMU", "Standard PC (Q35 + ICH9, 2009)", "QEMU"},
                            {"Red Hat", "KVM", "KVM"},
                            {"VMware, Inc.", "VMware7,1", "VMware"},
                            {"innotek GmbH", "VirtualBox", "VirtualBox"},
                            {"Microsoft Corporation", "Virtual Machine", "Hyper-V"},
                            {"Xen", "HVM domU", "Xen"},
                            {"Microsoft Corporation", "Surface", "unknown"},
                            {"Amazon EC2", "c5.large", "Nitro"},
                            {"Google", "Google Compute Engine", "KVM"}}) {
    firmware(each.vendor, each.product);
    EXPECT_EQ(read().hypervisor, each.name) << each.vendor;
  }
}

TEST_F(Host, GarbageAndFoldersInPlaceOfFilesAreNoFacts) {
  std::string garbage(100'000, '9');
  garbage.replace(0, 9, "\0\xff[]\n: \n\t", 9);
  garbage += "\n=,-\n";
  for (const char* path : {"proc/cpuinfo", "proc/meminfo", "proc/stat", "proc/loadavg", "proc/cmdline",
                           "proc/self/mountinfo", "proc/self/cgroup", "sys/devices/system/cpu/online",
                           "sys/devices/system/cpu/cpufreq/policy0", "sys/devices/system/cpu/cpu0/cpuidle"}) {
    write(path, garbage);
  }
  write("sys/kernel/mm/transparent_hugepage/enabled/folder", "");
  write(cpus_ + "isolated/folder", "");
  const host h = read();
  EXPECT_EQ(h.online, numbers{});
  EXPECT_EQ(h.isolated, numbers{});
  EXPECT_EQ(h.steal_share, std::nullopt);
  EXPECT_EQ(h.memory_bytes, 0U);
}

TEST(HostOfThisMachine, TellsWhatEveryLinuxTells) {
  const host h = read_host();
  EXPECT_NE(h.kernel, "");
  EXPECT_FALSE(h.online.empty());
  EXPECT_GT(h.memory_bytes, 0U);
}

}  // namespace
}  // namespace remuda::topo
