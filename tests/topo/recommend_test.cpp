// What is recommended for machines of all kinds, and what the reasons rest on.
#include "runtime/topo/recommend.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "runtime/sched/settings.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/profile_names.hpp"

namespace remuda::topo {
namespace {

constexpr double no_quota = std::numeric_limits<double>::infinity();

summary measured_as(double median) { return {median, median * 0.9, median * 1.2, median * 2, 100}; }

measurements measured() {
  measurements m;
  m.pause = measured_as(20);
  m.futex_call = measured_as(4'000);
  m.wake_hot = measured_as(20'000);
  m.wake_cold = measured_as(36'000);
  m.ring_round_trip = measured_as(800);
  return m;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void expect_a_reason_for_each(const profile& p) {
  for (const setting_line& each : list_settings(p)) {
    EXPECT_NE(each.reason, "") << each.name;
    EXPECT_EQ(each.reason.find('\n'), std::string::npos) << each.name;
  }
  EXPECT_EQ(profile_from_json(to_json(p)), p);  // within all bounds
}

struct machine_case {
  const char* what;
  double quota;
  unsigned workers;
  wait_policy policy;
  worker_rule rule;
};

TEST(Recommend, MachinesOfAllKinds) {
  using enum wait_policy;
  using enum worker_rule;
  const machine_case all[] = {
      {"core:1 pu:1", no_quota, 1, efficient, per_cpu},
      {"pack:2 [numa] l3:1 core:64 pu:2", no_quota, 256, balanced, per_cpu},
      {"pack:2 [numa] l3:1 core:64 pu:2", 0.5, 1, efficient, per_cpu},
      {"pack:2 [numa] l3:1 core:64 pu:2", 1.5, 1, efficient, per_cpu},
      {"pack:2 [numa] l3:1 core:64 pu:2", 64, 64, balanced, per_cpu},
      {"pack:4 [numa] core:4 pu:1", no_quota, 16, balanced, per_cpu},
      {"pack:8 [numa] core:4 pu:1", no_quota, 32, balanced, per_cpu},
      {"pack:1 [numa] l3:4 core:4 pu:2", no_quota, 32, balanced, per_cpu},
      {"no machine at all", no_quota, 1, efficient, per_cpu},
  };
  for (const machine_case& each : all) {
    SCOPED_TRACE(std::string(each.what) + " " + std::to_string(each.quota));
    const topology t = describe_topology(each.what, each.quota);
    const measurements m = measured();
    for (const measurements* given : {static_cast<const measurements*>(nullptr), &m}) {
      const profile p = recommend(t, {}, given);
      EXPECT_EQ(p.settings.policy, each.policy);
      EXPECT_EQ(p.settings.workers, each.rule);
      EXPECT_EQ(detail::workers_of(p.settings.workers, t), each.workers);
      EXPECT_TRUE(p.settings.pin);
      expect_a_reason_for_each(p);
      if (each.quota != no_quota) {
        EXPECT_TRUE(contains(p.reasons.at(setting::workers), "quota"));
      }
    }
  }
}

TEST(Recommend, AMaskWithHolesAndANodeWithoutMemory) {
  os::cpu_mask mask;
  for (const unsigned cpu : {1U, 3U, 6U}) mask.add(cpu);
  const topology t = describe_topology("pack:4 [numa(memory=0)] core:2 pu:1", mask);
  const profile p = recommend(t, {}, nullptr);
  EXPECT_EQ(detail::workers_of(p.settings.workers, t), 3U);
  expect_a_reason_for_each(p);
}

TEST(Recommend, WithoutMeasurementsOnlyWhatNeedsNoneIsChanged) {
  const topology t = describe_topology("pack:2 [numa] core:4 pu:2");
  const profile p = recommend(t, {}, nullptr);
  EXPECT_EQ(p.settings, tuned_settings{});
  for (const char* name : {setting::spin, setting::steal_near, setting::ring_slots}) {
    EXPECT_TRUE(contains(p.reasons.at(name), "not measured") || contains(p.reasons.at(name), "were not measured"))
        << name;
  }
}

TEST(Recommend, SpinIsTwiceWhatASleepCosts) {
  const topology t = describe_topology("core:4 pu:1");
  measurements m = measured();
  EXPECT_EQ(recommend(t, {}, &m).settings.spin.count(), 80'000);
  EXPECT_TRUE(contains(recommend(t, {}, &m).reasons.at(setting::spin), "36.0 us (wake_cold"));
  m.futex_call = {};
  EXPECT_EQ(recommend(t, {}, &m).settings.spin.count(), 72'000);
  for (const double odd : {1e12, 1e300, std::numeric_limits<double>::infinity(), 1.0, -1.0, 0.0}) {
    m.wake_cold.median = odd;
    expect_a_reason_for_each(recommend(t, {}, &m));
  }
}

TEST(Recommend, RingHoldsWhatIsRunDuringAWakeUp) {
  const topology t = describe_topology("core:4 pu:1");
  measurements m = measured();
  EXPECT_EQ(recommend(t, {}, &m).settings.ring_slots, 256U);  // 36'000 / 200 = 180
  m.ring_round_trip = measured_as(100'000);
  EXPECT_EQ(recommend(t, {}, &m).settings.ring_slots, 64U);
  m.ring_round_trip = measured_as(1);
  EXPECT_EQ(recommend(t, {}, &m).settings.ring_slots, 512U);
}

TEST(Recommend, CutOffIsWhereStealsGetMuchDearer) {
  const topology t = describe_topology("pack:2 [numa] l3:2 core:4 pu:2");
  measurements m = measured();
  m.steals = {
      {"smt", measured_as(60)}, {"l3", measured_as(100)}, {"node", measured_as(260)}, {"remote", measured_as(700)}};
  profile p = recommend(t, {}, &m);
  EXPECT_EQ(p.settings.steal_near, nearness::l3);
  EXPECT_EQ(p.settings.near_looks, 10U);  // (260 - 60) / 20
  EXPECT_TRUE(contains(p.reasons.at(setting::steal_near), "(steals)"));
  expect_a_reason_for_each(p);

  m.steals = {{"l3", measured_as(100)}, {"remote", measured_as(150)}};
  p = recommend(t, {}, &m);
  EXPECT_EQ(p.settings.steal_near, nearness::machine);
  EXPECT_EQ(p.settings.near_looks, 0U);
  m.steals = {{"l3", measured_as(100)}, {"nonsense", measured_as(1e9)}};
  EXPECT_EQ(recommend(t, {}, &m).settings.near_looks, 0U);
  m.steals = {{"l3", measured_as(1)}, {"remote", measured_as(1e12)}};
  EXPECT_EQ(recommend(t, {}, &m).settings.near_looks, 64U);
}

TEST(Recommend, MeasurementsInDoubtChangeNothingThatRestsOnThem) {
  const topology t = describe_topology("pack:2 [numa] core:2 pu:2");
  measurements m = measured();
  m.steals = {{"smt", measured_as(60)}, {"remote", measured_as(700)}};
  EXPECT_NE(recommend(t, {}, &m).settings, tuned_settings{});
  m.jitter = {{0, 0.2, 50'000, 3}};
  m.doubts = {"other processes used 50 % of the time"};
  const profile p = recommend(t, {}, &m);
  EXPECT_EQ(p.settings, tuned_settings{});
  for (const char* name : {setting::spin, setting::steal_near, setting::ring_slots}) {
    EXPECT_TRUE(contains(p.reasons.at(name), "in doubt")) << name << ": " << p.reasons.at(name);
  }
}

TEST(Recommend, WhereOthersWantTheCpusWorkersSleepAndAreNotPinned) {
  const topology t = describe_topology("core:4 pu:1");
  host crowded;
  crowded.steal_share = 0.2;
  profile p = recommend(t, crowded, nullptr);
  EXPECT_EQ(p.settings.policy, wait_policy::efficient);
  EXPECT_FALSE(p.settings.pin);
  EXPECT_TRUE(contains(p.reasons.at(setting::pin), "20.0 %"));

  measurements m = measured();
  m.jitter = {{0, 0.001, 0, 0}, {1, 0.3, 0, 0}, {2, 0.3, 0, 0}};
  p = recommend(t, {}, &m);
  EXPECT_EQ(p.settings.policy, wait_policy::efficient);
  EXPECT_FALSE(p.settings.pin);
  EXPECT_TRUE(contains(p.reasons.at(setting::wait_policy), "jitter"));
  m.jitter = {{0, 0.001, 0, 0}, {1, 0.3, 0, 0}, {2, 0.001, 0, 0}};  // one bad CPU of three
  p = recommend(t, {}, &m);
  EXPECT_EQ(p.settings.policy, wait_policy::balanced);
  EXPECT_TRUE(p.settings.pin);
}

TEST(Recommend, AQuotaThatHasStoppedTheGroupMakesWorkersSleep) {
  const topology t = describe_topology("core:8 pu:1", 4);
  host h;
  EXPECT_EQ(recommend(t, h, nullptr).settings.policy, wait_policy::balanced);
  h.cgroups.resize(1);
  h.cgroups[0].throttled_periods = 3;
  EXPECT_EQ(recommend(t, h, nullptr).settings.policy, wait_policy::efficient);
}

TEST(Recommend, CpusThatAreSetApartArePolled) {
  const topology t = describe_topology("core:4 pu:2");
  host h;
  for (unsigned i = 0; i < 8; ++i) h.isolated.push_back(i);
  EXPECT_EQ(recommend(t, h, nullptr).settings.policy, wait_policy::balanced);  // they still have a tick
  h.nohz_full = h.isolated;
  const profile p = recommend(t, h, nullptr);
  EXPECT_EQ(p.settings.policy, wait_policy::busy_poll);
  EXPECT_EQ(p.settings.workers, worker_rule::per_core);
  EXPECT_EQ(detail::workers_of(p.settings.workers, t), 4U);
  expect_a_reason_for_each(p);
}

}  // namespace
}  // namespace remuda::topo
