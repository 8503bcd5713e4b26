#include "runtime/topo/cgroup.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace remuda::topo {
namespace {

constexpr double none = std::numeric_limits<double>::infinity();

// A machine made of files in a temporary folder.
class Cgroup : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "remuda-cgroup-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  void own_groups(const std::string& lines) { write("/proc/self/cgroup", lines); }

  void mount_v2(const std::string& at, const std::string& group = "/") {
    add_mount(group + " " + at + " rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate");
  }
  void mount_v1(const std::string& at, const std::string& controllers, const std::string& group = "/") {
    add_mount(group + " " + at + " rw,nosuid shared:10 master:3 - cgroup cgroup rw," + controllers);
  }
  void add_mount(const std::string& rest) {
    mounts_ += "31 23 0:28 " + rest + "\n";
    write("/proc/self/mountinfo", mounts_);
  }

  void quota_v1(const std::string& folder, const std::string& quota, const std::string& period) {
    write(folder + "/cpu.cfs_quota_us", quota + "\n");
    write(folder + "/cpu.cfs_period_us", period + "\n");
  }

  // What a pool asks for; and the smallest of what people are shown has to be the same.
  double quota() const {
    double smallest = none;
    for (const cgroup_level& each : cgroup_levels(root_)) smallest = std::min(smallest, each.quota.value_or(none));
    const double quota = cpu_quota(root_);
    EXPECT_EQ(smallest, quota);
    return quota;
  }

  // "version path folder quota cpuset", own group first; - = none
  std::vector<std::string> levels() const {
    std::vector<std::string> lines;
    for (const cgroup_level& each : cgroup_levels(root_)) {
      std::ostringstream line;
      line << each.version << ' ' << each.path << ' ' << each.folder << ' ';
      each.quota ? line << *each.quota : line << '-';
      line << ' ' << (each.cpuset.empty() ? "-" : each.cpuset);
      lines.push_back(line.str());
    }
    return lines;
  }

  std::string root_;
  std::string mounts_;
};

TEST_F(Cgroup, NoFilesMeanNoQuota) { EXPECT_EQ(quota(), none); }

TEST_F(Cgroup, ThisMachineHasAPositiveQuotaOrNone) { EXPECT_GT(cpu_quota(), 0.0); }

TEST_F(Cgroup, V2OwnGroup) {
  own_groups("0::/user/job\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/user/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(Cgroup, V2MaxIsNoQuota) {
  own_groups("0::/job\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/job/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), none);
}

TEST_F(Cgroup, V2SmallestOfAllAncestors) {
  own_groups("0::/a/b/c\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/a/cpu.max", "25000 50000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(Cgroup, V2SiblingsDoNotCount) {
  own_groups("0::/a\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  write("/sys/fs/cgroup/a/child/cpu.max", "100000 100000\n");
  write("/sys/fs/cgroup/b/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, V2InAContainerWithItsOwnNamespace) {
  own_groups("0::/\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/cpu.max", "6400000 100000\n");
  EXPECT_EQ(quota(), 64.0);
}

TEST_F(Cgroup, V1OwnGroupAndAncestors) {
  own_groups("12:memory:/m\n4:cpu,cpuacct:/a/b\n1:name=systemd:/s\n");
  mount_v1("/sys/fs/cgroup/memory", "memory");
  mount_v1("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct");
  quota_v1("/sys/fs/cgroup/cpu,cpuacct/a/b", "-1", "100000");
  quota_v1("/sys/fs/cgroup/cpu,cpuacct/a", "300000", "100000");
  quota_v1("/sys/fs/cgroup/cpu,cpuacct", "-1", "100000");
  EXPECT_EQ(quota(), 3.0);
}

TEST_F(Cgroup, V1OtherControllersWithCpuInTheirNameDoNotCount) {
  own_groups("3:cpuset:/a\n2:cpuacct:/a\n1:cpu:/b\n");
  mount_v1("/sys/fs/cgroup/cpuset", "cpuset");
  mount_v1("/sys/fs/cgroup/cpuacct", "cpuacct");
  mount_v1("/sys/fs/cgroup/cpu", "cpu");
  quota_v1("/sys/fs/cgroup/cpuset/a", "100000", "100000");
  quota_v1("/sys/fs/cgroup/cpuacct/a", "100000", "100000");
  quota_v1("/sys/fs/cgroup/cpu/a", "100000", "100000");
  quota_v1("/sys/fs/cgroup/cpu/b", "200000", "100000");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, V1ContainerThatSeesOnlyItsOwnBranch) {
  own_groups("4:cpu,cpuacct:/docker/c0ffee\n");
  mount_v1("/sys/fs/cgroup/cpu", "cpu,cpuacct", "/docker/c0ffee");
  quota_v1("/sys/fs/cgroup/cpu", "50000", "100000");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(Cgroup, GroupBelowTheMountedBranch) {
  own_groups("4:cpu,cpuacct:/docker/c0ffee/inner\n");
  mount_v1("/sys/fs/cgroup/cpu", "cpu,cpuacct", "/docker/c0ffee");
  quota_v1("/sys/fs/cgroup/cpu/inner", "150000", "100000");
  quota_v1("/sys/fs/cgroup/cpu", "800000", "100000");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(Cgroup, AnotherBranchMountedHereDoesNotCount) {
  own_groups("4:cpu,cpuacct:/docker/c0ffee2\n0::/\n");
  mount_v1("/other", "cpu,cpuacct", "/docker/c0ffee");
  mount_v2("/branch", "/somewhere");
  quota_v1("/other", "100000", "100000");
  quota_v1("/other2", "100000", "100000");
  write("/branch/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), none);
}

TEST_F(Cgroup, AMountFromAboveTheNamespaceHoldsForItsMembers) {
  own_groups("0::/\n");
  mount_v2("/sys/fs/cgroup", "/../..");
  write("/sys/fs/cgroup/cpu.max", "700000 100000\n");
  EXPECT_EQ(quota(), 7.0);
}

TEST_F(Cgroup, AGroupOutsideOfTheNamespaceHasNoPathInside) {
  own_groups("0::/../sibling\n");
  mount_v2("/sys/fs/cgroup/here");
  write("/sys/fs/cgroup/here/cpu.max", "100000 100000\n");
  write("/sys/fs/cgroup/sibling/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), none);
}

TEST_F(Cgroup, GroupNamesMayStartWithDots) {
  own_groups("0::/..odd\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/..odd/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, HybridTakesTheSmallerOfBothVersions) {
  own_groups("4:cpu,cpuacct:/a\n0::/b\n");
  mount_v2("/sys/fs/cgroup/unified");
  mount_v1("/sys/fs/cgroup/cpu", "cpu,cpuacct");
  quota_v1("/sys/fs/cgroup/cpu/a", "300000", "100000");
  EXPECT_EQ(quota(), 3.0);
  write("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, MountPointsWithSpacesAndBackslashes) {
  own_groups("0::/a:b\n");
  mount_v2("/odd\\040place\\134x");
  write("/odd place\\x/a:b/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, AChangedQuotaIsSeenByTheNextCall) {
  own_groups("0::/a\n");
  mount_v2("/sys/fs/cgroup");
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
  write("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), 1.0);
}

// What is no positive whole number.
const std::string not_a_number[] = {"",
                                    "0",
                                    "-5",
                                    "1e5",
                                    "100000x",
                                    "+100000",
                                    "0x10",
                                    "nan",
                                    "99999999999999999999999999",
                                    std::string(1 << 16, '9'),
                                    std::string("\0\0", 2),
                                    "\xff\xfe"};

TEST_F(Cgroup, V2GarbageIsNoQuota) {
  own_groups("0::/a\n");
  mount_v2("/v2");
  for (const std::string& bad : not_a_number) {
    const std::string lines[] = {bad, bad + " 100000", "100000 " + bad, "100000 100000 x" + bad};
    for (const std::string& text : lines) {
      write("/v2/a/cpu.max", text);
      EXPECT_EQ(quota(), none) << testing::PrintToString(text);
    }
  }
}

TEST_F(Cgroup, V1GarbageIsNoQuota) {
  own_groups("4:cpu:/a\n");
  mount_v1("/v1", "cpu");
  for (const std::string& bad : not_a_number) {
    quota_v1("/v1/a", bad, "100000");
    EXPECT_EQ(quota(), none) << testing::PrintToString(bad);
    quota_v1("/v1/a", "100000", bad);
    EXPECT_EQ(quota(), none) << testing::PrintToString(bad);
  }
}

TEST_F(Cgroup, GarbageInOneGroupLeavesTheOthers) {
  own_groups("0::/a/b\n");
  mount_v2("/v2");
  write("/v2/a/b/cpu.max", "nonsense\n");
  write("/v2/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, HalfAQuotaOfV1IsNone) {
  own_groups("4:cpu:/a\n");
  mount_v1("/v1", "cpu");
  write("/v1/a/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(quota(), none);
}

TEST_F(Cgroup, GarbageInTheKernelsListsIsSkipped) {
  const std::string noise = "\n:\n::\n0\nx:y\n- - -\n" + std::string(5000, ' ') + "\n" + std::string("\0\xff\n", 3);
  own_groups(noise + "0::/a\n" + noise);
  mounts_ = noise + "31 23 0:28 / - cgroup2\n - cgroup\n31 23 0:28 / /x rw - cgroup cgroup\n";
  mount_v2("/v2");
  write("/v2/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(Cgroup, FoldersInPlaceOfFilesAreNoQuota) {
  own_groups("0::/a\n");
  mount_v2("/v2");
  std::filesystem::create_directories(root_ + "/v2/a/cpu.max");
  EXPECT_EQ(quota(), none);
  std::filesystem::remove_all(root_ + "/proc");
  std::filesystem::create_directories(root_ + "/proc/self/mountinfo");
  std::filesystem::create_directories(root_ + "/proc/self/cgroup");
  EXPECT_EQ(quota(), none);
}

TEST_F(Cgroup, AGroupThatWasDeletedStillHasItsAncestors) {
  own_groups("0::/a/gone (deleted)\n");
  mount_v2("/v2");
  write("/v2/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

using lines = std::vector<std::string>;

TEST_F(Cgroup, LevelsOfV2FromTheOwnGroupUp) {
  own_groups("0::/a/b\n");
  mount_v2("/v2");
  write("/v2/a/b/cpu.max", "max 100000\n");
  write("/v2/a/b/cpuset.cpus", "\n");
  write("/v2/a/cpu.max", "150000 100000\n");
  write("/v2/a/cpuset.cpus", "0-3,8\n");
  EXPECT_EQ(levels(), (lines{"2 /a/b /v2/a/b - -", "2 /a /v2/a 1.5 0-3,8", "2 / /v2 - -"}));
}

TEST_F(Cgroup, LevelsOfV1InTwoHierarchies) {
  write("/sys/devices/system/cpu/online", "0-7\n");
  own_groups("3:cpuset:/s/t\n2:memory:/m\n1:cpu:/q\n");
  mount_v1("/memory", "memory");
  mount_v1("/cpuset", "cpuset");
  mount_v1("/cpu", "cpu");
  quota_v1("/cpu/q", "50000", "100000");
  quota_v1("/cpu", "-1", "100000");
  write("/cpuset/s/t/cpuset.cpus", "0-3\n");
  write("/cpuset/s/cpuset.cpus", "0-3\n");
  write("/cpuset/cpuset.cpus", "0-7\n");
  EXPECT_EQ(levels(), (lines{"1 /s/t /cpuset/s/t - -", "1 /s /cpuset/s - 0-3", "1 / /cpuset - -", "1 /q /cpu/q 0.5 -",
                             "1 / /cpu - -"}));
}

TEST_F(Cgroup, TheTopmostGroupThatAContainerSeesMayRestrictIt) {
  write("/sys/devices/system/cpu/online", "0-7\n");
  own_groups("3:cpuset:/docker/c0ffee\n");
  mount_v1("/cpuset", "cpuset", "/docker/c0ffee");
  write("/cpuset/cpuset.cpus", "2-3\n");
  EXPECT_EQ(levels(), (lines{"1 / /cpuset - 2-3"}));
}

TEST_F(Cgroup, LevelsOfAHybridMachineVersion2First) {
  own_groups("4:cpu,cpuacct,cpuset:/a\n0::/b\n");
  mount_v1("/v1", "cpu,cpuacct,cpuset");
  mount_v2("/v2");
  quota_v1("/v1/a", "300000", "100000");
  write("/v1/a/cpuset.cpus", "1\n");
  EXPECT_EQ(levels(), (lines{"2 /b /v2/b - -", "2 / /v2 - -", "1 /a /v1/a 3 1", "1 / /v1 - -"}));
}

TEST_F(Cgroup, AHierarchyThatIsMountedTwiceIsToldOnce) {
  own_groups("0::/a\n");
  mount_v2("/v2");
  mount_v2("/again");
  mount_v2("/branch", "/a");
  EXPECT_EQ(levels(), (lines{"2 /a /v2/a - -", "2 / /v2 - -"}));
}

TEST_F(Cgroup, HowOftenTheQuotaHeldUpInNanosecondsInBothVersions) {
  own_groups("1:cpu:/a\n0::/a\n");
  mount_v2("/v2");
  mount_v1("/v1", "cpu");
  write("/v2/a/cpu.stat", "usage_usec 99\nnr_periods 10\nnr_throttled 3\nthrottled_usec 7\nodd\nnr_bursts x\n");
  write("/v1/a/cpu.stat", "nr_periods 20\nnr_throttled 4\nthrottled_time 9\n");
  const std::vector<cgroup_level> all = cgroup_levels(root_);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].throttled_periods, 3U);
  EXPECT_EQ(all[0].throttled_ns, 7000U);
  EXPECT_EQ(all[2].periods, 20U);
  EXPECT_EQ(all[2].throttled_periods, 4U);
  EXPECT_EQ(all[2].throttled_ns, 9U);
}

}  // namespace
}  // namespace remuda::topo
