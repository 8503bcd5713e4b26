#include "runtime/os/affinity.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

namespace remuda::os {
namespace {

constexpr unsigned fixed_set_size = CPU_SETSIZE;  // where the C library's own type ends

// The tests change where a thread may run, so that each uses a thread of its own.
template <class F>
void in_own_thread(F f) {
  std::thread(f).join();
}

std::string name_of_this_thread() {
  char text[64] = {};
  EXPECT_EQ(pthread_getname_np(pthread_self(), text, sizeof text), 0);
  return text;
}

TEST(CpuMask, HoldsWhatWasAddedInAscendingOrder) {
  const std::vector<unsigned> members{0, 63, 64, fixed_set_size - 1, fixed_set_size, 3 * fixed_set_size};
  cpu_mask mask(std::vector<unsigned>(members.rbegin(), members.rend()));
  EXPECT_EQ(mask.cpus(), members);
  for (const unsigned cpu : members) {
    EXPECT_TRUE(mask.contains(cpu)) << cpu;
    EXPECT_FALSE(mask.contains(cpu + 2)) << cpu + 2;
  }
}

TEST(CpuMask, IsEmptyUntilSomethingIsAdded) {
  cpu_mask mask;
  EXPECT_TRUE(mask.empty());
  EXPECT_TRUE(mask.cpus().empty());
  mask.add(5);
  EXPECT_FALSE(mask.empty());
}

TEST(CpuMask, EqualityIsAboutMembersNotCapacity) {
  cpu_mask from_kernel;
  ASSERT_EQ(get_affinity(from_kernel), 0);
  EXPECT_EQ(from_kernel, cpu_mask(from_kernel.cpus()));
  EXPECT_EQ(cpu_mask(from_kernel.cpus()), from_kernel);
  EXPECT_NE(cpu_mask({1}), cpu_mask({1, fixed_set_size}));
  EXPECT_NE(cpu_mask({1, fixed_set_size}), cpu_mask({1}));
  EXPECT_NE(cpu_mask({1}), cpu_mask({2}));
}

TEST(Affinity, ThreadRunsWhereItWasPinnedAndNowhereElse) {
  in_own_thread([] {
    cpu_mask all;
    ASSERT_EQ(get_affinity(all), 0);
    for (const unsigned cpu : all.cpus()) {
      ASSERT_EQ(pin_to_cpu(cpu), 0);
      EXPECT_EQ(sched_getcpu(), static_cast<int>(cpu));
      cpu_mask now;
      ASSERT_EQ(get_affinity(now), 0);
      EXPECT_EQ(now, cpu_mask({cpu}));
    }
    ASSERT_EQ(set_affinity(all), 0);
    cpu_mask restored;
    ASSERT_EQ(get_affinity(restored), 0);
    EXPECT_EQ(restored, all);
  });
}

TEST(Affinity, ConcernsTheCallingThreadOnly) {
  cpu_mask before;
  ASSERT_EQ(get_affinity(before), 0);
  in_own_thread([&] { EXPECT_EQ(pin_to_cpu(before.cpus().front()), 0); });
  cpu_mask after;
  ASSERT_EQ(get_affinity(after), 0);
  EXPECT_EQ(after, before);
}

TEST(Affinity, CpusThatDoNotExistAreIgnoredBesideOnesThatDo) {
  in_own_thread([] {
    cpu_mask mask;
    ASSERT_EQ(get_affinity(mask), 0);
    const unsigned real = mask.cpus().front();
    ASSERT_EQ(set_affinity(cpu_mask({real, 64 * fixed_set_size})), 0);
    ASSERT_EQ(get_affinity(mask), 0);
    EXPECT_EQ(mask, cpu_mask({real}));
  });
}

TEST(Affinity, AMaskWithoutAnyRealCpuIsAnErrorAndChangesNothing) {
  in_own_thread([] {
    cpu_mask before;
    ASSERT_EQ(get_affinity(before), 0);
    EXPECT_EQ(pin_to_cpu(64 * fixed_set_size), EINVAL);
    EXPECT_EQ(set_affinity(cpu_mask{}), EINVAL);
    cpu_mask after;
    ASSERT_EQ(get_affinity(after), 0);
    EXPECT_EQ(after, before);
  });
}

TEST(ThreadName, IsSetAndCutToWhatLinuxKeeps) {
  in_own_thread([] {
    const std::string fits = "remuda-worker-7";
    ASSERT_EQ(set_thread_name(fits), 0);
    EXPECT_EQ(name_of_this_thread(), fits);
    ASSERT_EQ(set_thread_name(fits + "-and-more"), 0);
    EXPECT_EQ(name_of_this_thread(), fits);
    ASSERT_EQ(set_thread_name(""), 0);
    EXPECT_EQ(name_of_this_thread(), "");
  });
}

TEST(ThreadName, TakesAViewIntoALongerText) {
  in_own_thread([] {
    ASSERT_EQ(set_thread_name(std::string_view("pool/1").substr(0, 4)), 0);
    EXPECT_EQ(name_of_this_thread(), "pool");
  });
}

}  // namespace
}  // namespace remuda::os
