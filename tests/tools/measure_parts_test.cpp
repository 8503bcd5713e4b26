// The parts of `remuda measure` that need no machine: choice of pairs, division of time, summaries, doubts, drawings.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "made_up_measurements.hpp"
#include "run_program.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/nearness.hpp"
#include "tools/remuda/measure/conditions.hpp"
#include "tools/remuda/measure/measuring.hpp"
#include "tools/remuda/measure/pairs.hpp"
#include "tools/remuda/measure/samples.hpp"
#include "tools/remuda/measure/time_division.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

using topo::describe_topology;
using topo::measurements;
using topo::summary;

// --- samples

TEST(MeasureSamples, PercentilesOfKnownValues) {
  samples s;
  for (int i = 100; i >= 0; --i) s.add(i);
  const summary found = s.summarise();
  EXPECT_EQ(found.median, 50);
  EXPECT_EQ(found.p10, 10);
  EXPECT_EQ(found.p90, 90);
  EXPECT_EQ(found.p99, 99);
  EXPECT_EQ(found.repeats, 101U);
}

TEST(MeasureSamples, FewAndNone) {
  EXPECT_EQ(samples().summarise().repeats, 0U);
  samples s;
  s.add(7);
  EXPECT_EQ(s.summarise().median, 7);
  EXPECT_EQ(s.summarise().p99, 7);
  s.add(9);
  EXPECT_EQ(s.summarise().median, 8);
  EXPECT_EQ(s.summarise().repeats, 2U);
}

TEST(MeasureSamples, TooManyAreThinnedEvenlyOverTheTime) {
  samples s(100);
  constexpr int count = 100'000;
  for (int i = 0; i < count; ++i) s.add(i);
  EXPECT_LE(s.values().size(), 100U);
  EXPECT_GE(s.values().size(), 40U);
  const double step = s.values()[1] - s.values()[0];
  for (std::size_t i = 1; i < s.values().size(); ++i) EXPECT_EQ(s.values()[i] - s.values()[i - 1], step) << i;
  EXPECT_EQ(s.summarise().repeats, static_cast<unsigned>(count));
  EXPECT_NEAR(s.summarise().median, count / 2.0, count * 0.05);
}

// --- pairs

std::set<nearness> kinds_among(const std::vector<cpu>& cpus) {
  std::set<nearness> kinds;
  for (const auto& each : one_pair_each(cpus)) kinds.insert(each.kind);
  return kinds;
}

const cpu& cpu_named(const topology& t, unsigned os_index) {
  return *std::find_if(t.cpus.begin(), t.cpus.end(), [&](const cpu& c) { return c.os_index == os_index; });
}

TEST(MeasurePairs, NearnessIsTheSmallestThatTwoCpusShare) {
  const topology t = describe_topology("pack:2 [numa] l3:2 l2:2 core:2 pu:2");
  const cpu& first = t.cpus[0];
  EXPECT_EQ(topo::nearness_of(first, t.cpus[1]), nearness::core);
  EXPECT_EQ(topo::nearness_of(first, t.cpus[2]), nearness::l2);
  EXPECT_EQ(topo::nearness_of(first, t.cpus[4]), nearness::l3);
  EXPECT_EQ(topo::nearness_of(first, t.cpus[8]), nearness::node);
  EXPECT_EQ(topo::nearness_of(first, t.cpus[16]), nearness::machine);
  for (const cpu& a : t.cpus) {
    for (const cpu& b : t.cpus) {
      if (a.os_index != b.os_index) {
        EXPECT_EQ(topo::nearness_of(a, b), topo::nearness_of(b, a));
      }
    }
  }
}

TEST(MeasurePairs, NodesOfOnePackage) {
  const topology t = describe_topology("pack:2 l3:2 [numa] core:2 pu:1");
  EXPECT_EQ(topo::nearness_of(t.cpus[0], t.cpus[2]), nearness::package);
  EXPECT_EQ(topo::nearness_of(t.cpus[0], t.cpus[4]), nearness::machine);
}

TEST(MeasurePairs, WhatIsNotToldIsNotShared) {
  const topology flat = describe_topology("nonsense", os::cpu_mask({0, 1, 5}));
  EXPECT_EQ(kinds_among(flat.cpus), (std::set<nearness>{nearness::node}));
}

TEST(MeasurePairs, OnePairForEachNearness) {
  const topology t = describe_topology("pack:2 [numa] l3:2 core:4 pu:2");
  const auto pairs = one_pair_each(t.cpus);
  ASSERT_EQ(pairs.size(), 4U);
  for (const auto& [kind, pair] : pairs) {
    EXPECT_EQ(topo::nearness_of(cpu_named(t, pair.first), cpu_named(t, pair.second)), kind) << name_of(kind);
  }
  EXPECT_TRUE(std::is_sorted(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; }));
  EXPECT_TRUE(one_pair_each(describe_topology("pu:1").cpus).empty());
}

TEST(MeasurePairs, AllCpusOfASmallMachineNeighboursSideBySide) {
  const topology t = describe_topology("[numa] l3:2 core:2 pu:1(indexes=0,2,1,3)");
  std::vector<unsigned> order;
  for (const cpu& each : choose_cpus(t)) order.push_back(each.os_index);
  EXPECT_EQ(order, (std::vector<unsigned>{0, 2, 1, 3}));
}

TEST(MeasurePairs, OfALargeMachineAChoiceWithEveryNearnessAndEveryL3) {
  constexpr std::size_t most = 32;
  const std::vector<std::pair<const char*, std::size_t>> machines{{"pack:2 [numa] l3:1 core:64 pu:2", 2},
                                                                  {"pack:2 [numa] l3:8 core:8 pu:1", 16},
                                                                  {"pack:8 [numa] l3:8 core:4 pu:2", 64},
                                                                  {"[numa] l3:1 core:128 pu:1", 1},
                                                                  {"core:40 pu:1", 1}};
  for (const auto& [text, l3_caches] : machines) {
    SCOPED_TRACE(text);
    const topology t = describe_topology(text);
    ASSERT_GT(t.cpus.size(), most);
    const std::vector<cpu> chosen = choose_cpus(t, most);
    EXPECT_EQ(chosen.size(), most);
    EXPECT_EQ(kinds_among(chosen), kinds_among(t.cpus));
    std::set<unsigned> numbers, caches;
    for (const cpu& each : chosen) {
      numbers.insert(each.os_index);
      caches.insert(each.l3);
    }
    EXPECT_EQ(numbers.size(), chosen.size()) << "one twice";
    EXPECT_GE(caches.size(), std::min<std::size_t>(l3_caches, most - 2 * kinds_of_nearness));
  }
}

TEST(MeasurePairs, TwoCpusThatAreNearButNotOfOneCore) {
  EXPECT_EQ(near_pair(describe_topology("pack:2 [numa] core:2 pu:2")), (cpu_pair{0, 2}));
  EXPECT_EQ(near_pair(describe_topology("core:1 pu:2")), (cpu_pair{0, 1}));
  EXPECT_EQ(near_pair(describe_topology("core:1 pu:1")), std::nullopt);
  EXPECT_EQ(near_pair(describe_topology("core:8 pu:1", os::cpu_mask({3, 6}))), (cpu_pair{3, 6}));
}

// --- time

TEST(MeasureTime, IsDividedByWeight) {
  time_division time(10, 5);
  EXPECT_DOUBLE_EQ(time.next(1, 0), 2);
  EXPECT_DOUBLE_EQ(time.next(3, 2), 6);
  EXPECT_DOUBLE_EQ(time.next(1, 8), 2);
}

TEST(MeasureTime, WhatOneStepTookTooMuchAllTheOthersGiveAndWhatItLeftTheyGet) {
  time_division time(10, 5);
  time.next(1, 0);
  EXPECT_DOUBLE_EQ(time.next(2, 6), 2);  // four instead of eight are left
  EXPECT_DOUBLE_EQ(time.next(1, 6.5), 1.75);
  time.leave_out(0);
  EXPECT_DOUBLE_EQ(time.next(1, 6.5), 3.5);
}

TEST(MeasureTime, StepsThatDoNotTakePlaceLeaveTheirsToTheRest) {
  time_division time(10, 4);
  time.leave_out(2);
  EXPECT_DOUBLE_EQ(time.next(1, 0), 5);
  EXPECT_DOUBLE_EQ(time.next(1, 5), 5);
}

TEST(MeasureTime, WhenItIsUsedUpNobodyGetsLessThanNothing) {
  time_division time(1, 3);
  EXPECT_EQ(time.next(1, 2), 0);
  EXPECT_EQ(time.next(1, 2), 0);
  EXPECT_EQ(time.next(1, 0.5), 0.5);
  EXPECT_EQ(time.next(1, 0.5), 0.5);  // one more than was said
}

// --- memory

TEST(MeasureMemory, TheAreaIsSeveralCachesLargeButNeverMuchOfWhatIsFree) {
  constexpr std::size_t mib = std::size_t{1} << 20, gib = 1024 * mib;
  EXPECT_EQ(memory_area_bytes(32 * mib, 64 * gib, 1), 128 * mib);
  EXPECT_EQ(memory_area_bytes(40 * mib, 64 * gib, 1), 256 * mib);
  EXPECT_EQ(memory_area_bytes(0, 64 * gib, 1), 64 * mib);
  EXPECT_EQ(memory_area_bytes(2 * gib, 64 * gib, 1), 512 * mib);
  EXPECT_EQ(memory_area_bytes(32 * mib, 600 * mib, 1), 64 * mib);
  EXPECT_EQ(memory_area_bytes(32 * mib, 16 * gib, 64), 32 * mib);
  EXPECT_EQ(memory_area_bytes(32 * mib, 0, 1), mib);
  EXPECT_EQ(memory_area_bytes(32 * mib, 64 * gib, 0), 128 * mib);
}

// --- doubts

constexpr const char* stat_text =
    "cpu  999 0 0 0 0 0 0 999 0 0\n"
    "cpu0 100 10 20 1000 50 3 7 30 5 0\n"
    "cpu1 200 0 0 1000 0 0 0 10 0 0\n"
    "cpu11 7777 0 0 0 0 0 0 7777 0 0\n"
    "intr 5\n";

TEST(MeasureConditions, ReadFromStat) {
  const auto one = parse_stat(stat_text, {0}, 100);
  ASSERT_TRUE(one);
  EXPECT_DOUBLE_EQ(one->busy, 1.4);
  EXPECT_DOUBLE_EQ(one->stolen, 0.3);
  const auto two = parse_stat(stat_text, {0, 1}, 100);
  ASSERT_TRUE(two);
  EXPECT_DOUBLE_EQ(two->busy, 3.4);
  EXPECT_DOUBLE_EQ(two->stolen, 0.4);
  for (const char* damaged : {"", "cpu", "cpu0", "cpu0 1 2 3\n", "cpu0 a b c d e f g h\n", "cpuX 1 2 3 4 5 6 7 8\n"}) {
    EXPECT_FALSE(parse_stat(damaged, {0}, 100)) << damaged;
  }
}

TEST(MeasureConditions, WhatHappenedBetweenTwoLooks) {
  snapshot before, after;
  before.cpus = cpu_seconds{10, 1};
  before.own_seconds = 1;
  before.involuntary_switches = 5;
  before.throttled_periods = 100;
  before.throttled_seconds = 3;
  after = before;
  after.at += std::chrono::seconds(10);
  after.cpus = cpu_seconds{19, 2};
  after.own_seconds = 5;
  after.involuntary_switches = 25;
  after.throttled_periods = 103;
  after.throttled_seconds = 3.5;
  const conditions found = between(before, after, 2);
  EXPECT_DOUBLE_EQ(found.seconds, 10);
  EXPECT_DOUBLE_EQ(found.stolen_share.value(), 0.1);
  EXPECT_DOUBLE_EQ(found.others_share.value(), 0.25);
  EXPECT_DOUBLE_EQ(found.involuntary_switches_per_second, 2);
  EXPECT_EQ(found.throttled_periods, 3U);
  EXPECT_DOUBLE_EQ(found.throttled_seconds, 0.5);

  after.cpus.reset();
  EXPECT_FALSE(between(before, after, 2).stolen_share);
  after.cpus = cpu_seconds{5, 0};  // counters that go back
  EXPECT_EQ(between(before, after, 2).others_share.value(), 0);
}

TEST(MeasureDoubts, NoneOnAQuietMachine) {
  conditions quiet;
  quiet.seconds = 20;
  quiet.stolen_share = 0.001;
  quiet.others_share = 0.01;
  quiet.involuntary_switches_per_second = 5;
  EXPECT_EQ(doubts_of(quiet_machine(), quiet), std::vector<std::string>{});
  EXPECT_EQ(doubts_of({}, {}), std::vector<std::string>{});  // nothing measured, nothing known
}

TEST(MeasureDoubts, EachReasonHasItsSentence) {
  const auto only = [](const std::vector<std::string>& doubts, const std::string& part) {
    ASSERT_EQ(doubts.size(), 1U) << part;
    EXPECT_NE(doubts[0].find(part), std::string::npos) << doubts[0];
  };
  conditions c;
  c.stolen_share = 0.034;
  only(doubts_of(quiet_machine(), c), "3.4 %");
  c = {};
  c.others_share = 0.5;
  only(doubts_of(quiet_machine(), c), "other processes used 50 %");
  c = {};
  c.throttled_periods = 3;
  c.throttled_seconds = 0.25;
  only(doubts_of(quiet_machine(), c), "quota");
  c = {};
  c.involuntary_switches_per_second = 400;
  only(doubts_of(quiet_machine(), c), "400 times a second");

  measurements m = quiet_machine();
  m.jitter[1].lost_share = 0.25;
  only(doubts_of(m, {}), "CPU 1 was not let run for 25.0 %");
  m = quiet_machine();
  m.pause.p90 = 2 * m.pause.p10;
  only(doubts_of(m, {}), "pause: the values spread widely");
  m = quiet_machine();
  m.memory[0].latency.p90 = 3 * m.memory[0].latency.p10;
  only(doubts_of(m, {}), "memory latency of node 0");
  m = quiet_machine();
  m.wake_cold.repeats = 3;
  only(doubts_of(m, {}), "wake-up, cold: measured 3 times only");
  m = quiet_machine();
  m.core_to_core[1].p90 = m.core_to_core[2].p90 = 900;
  only(doubts_of(m, {}), "CPUs 0 and 1");
}

TEST(MeasureDoubts, OneBadPairOfManyIsNone) {
  measurements m;
  for (unsigned i = 0; i < 16; ++i) m.cpus.push_back(i);
  m.core_to_core.assign(256, steady(100));
  m.core_to_core[5].p90 = 1000;
  EXPECT_TRUE(doubts_of(m, {}).empty());
  for (std::size_t i = 0; i < 40; ++i) m.core_to_core[i].p90 = 1000;
  EXPECT_EQ(doubts_of(m, {}).size(), 1U);
}

// --- files

TEST(WholeFile, IsThereWholeAndAlone) {
  const tools_test::temporary_folder folder;
  const auto path = folder.path() / "result";
  write_whole_file(path, "first");
  write_whole_file(path, "second");
  EXPECT_EQ(tools_test::read_file(path), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  const auto link = folder.path() / "link";
  std::filesystem::create_symlink("result", link);
  write_whole_file(link, "third");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(tools_test::read_file(path), "third");
}

TEST(WholeFile, AnErrorLeavesWhatWasThere) {
  const tools_test::temporary_folder folder;
  const auto path = folder.write("result", "old");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit former{};
  getrlimit(RLIMIT_FSIZE, &former);
  rlimit small = former;
  small.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &small);
  std::string said;
  try {
    write_whole_file(path, std::string(100'000, 'x'));
  } catch (const std::exception& e) {
    said = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &former);
  EXPECT_NE(said.find(path.native()), std::string::npos) << said;
  EXPECT_EQ(tools_test::read_file(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WholeFile, FullDevicesAndMissingFoldersAreErrors) {
  const tools_test::temporary_folder folder;
  EXPECT_ANY_THROW(write_whole_file("/dev/full", "text"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_NO_THROW(write_whole_file("/dev/null", "text"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_ANY_THROW(write_whole_file(folder.path() / "none" / "result", "text"));
  EXPECT_ANY_THROW(write_whole_file(folder.path(), "text"));
}

}  // namespace
}  // namespace remuda::tool
