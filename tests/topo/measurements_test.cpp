#include "runtime/topo/measurements.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace remuda::topo {
namespace {

// Each figure another one, so that none can stand in another's place.
measurements made_up() {
  measurements m;
  m.taken_at = "2030-01-02T03:04:05Z";
  m.seconds = 19.5;
  m.cpus = {3, 7};
  m.core_to_core = {{}, {100.25, 90, 110, 120, 9}, {101.5, 91, 111, 121, 8}, {}};
  m.pause = {17, 16, 18, 19, 5};
  m.futex_call = {5'001, 4'000, 6'000, 7'000, 50};
  m.wake_hot = {5'002, 4'000, 6'000, 7'000, 51};
  m.wake_cold = {50'003, 40'000, 60'000, 70'000, 52};
  m.ring_round_trip = {204, 200, 210, 220, 53};
  m.steals = {{"smt", {30, 29, 31, 32, 6}}, {"l3", {60, 59, 61, 62, 7}}};
  m.memory = {{0, 0, {80, 79, 81, 82, 3}, {1.25e10, 1.2e10, 1.3e10, 1.4e10, 4}}, {0, 1, {140, 139, 141, 142, 3}, {}}};
  m.jitter = {{3, 0.001, 123'456.5, 2.5}, {7, 1.0 / 3, 0, 0}};
  m.doubts = {"steal time: 3 %", "more\n\"lines\""};
  return m;
}

std::string reason_of_refusal(const std::string& text) {
  try {
    measurements_from_json(text);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "accepted";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

void expect_equal(const summary& a, const summary& b) {
  EXPECT_EQ(a.median, b.median);
  EXPECT_EQ(a.p10, b.p10);
  EXPECT_EQ(a.p90, b.p90);
  EXPECT_EQ(a.p99, b.p99);
  EXPECT_EQ(a.repeats, b.repeats);
}

TEST(Measurements, ComeBackFromTheirTextAsTheyWere) {
  const measurements before = made_up();
  const measurements after = measurements_from_json(to_json(before));
  EXPECT_EQ(after.taken_at, before.taken_at);
  EXPECT_EQ(after.seconds, before.seconds);
  EXPECT_EQ(after.cpus, before.cpus);
  ASSERT_EQ(after.core_to_core.size(), before.core_to_core.size());
  for (std::size_t i = 0; i < before.core_to_core.size(); ++i) {
    expect_equal(after.core_to_core[i], before.core_to_core[i]);
  }
  expect_equal(after.pause, before.pause);
  expect_equal(after.futex_call, before.futex_call);
  expect_equal(after.wake_hot, before.wake_hot);
  expect_equal(after.wake_cold, before.wake_cold);
  expect_equal(after.ring_round_trip, before.ring_round_trip);
  ASSERT_EQ(after.steals.size(), before.steals.size());
  for (std::size_t i = 0; i < before.steals.size(); ++i) {
    EXPECT_EQ(after.steals[i].nearness, before.steals[i].nearness);
    expect_equal(after.steals[i].cost, before.steals[i].cost);
  }
  ASSERT_EQ(after.memory.size(), before.memory.size());
  for (std::size_t i = 0; i < before.memory.size(); ++i) {
    EXPECT_EQ(after.memory[i].cpu_node, before.memory[i].cpu_node);
    EXPECT_EQ(after.memory[i].memory_node, before.memory[i].memory_node);
    expect_equal(after.memory[i].latency, before.memory[i].latency);
    expect_equal(after.memory[i].bandwidth, before.memory[i].bandwidth);
  }
  ASSERT_EQ(after.jitter.size(), before.jitter.size());
  for (std::size_t i = 0; i < before.jitter.size(); ++i) {
    EXPECT_EQ(after.jitter[i].cpu, before.jitter[i].cpu);
    EXPECT_EQ(after.jitter[i].lost_share, before.jitter[i].lost_share);
    EXPECT_EQ(after.jitter[i].longest_gap_ns, before.jitter[i].longest_gap_ns);
    EXPECT_EQ(after.jitter[i].gaps_per_second, before.jitter[i].gaps_per_second);
  }
  EXPECT_EQ(after.doubts, before.doubts);
}

TEST(Measurements, WhatWasNotMeasuredStaysSo) {
  const measurements after = measurements_from_json(to_json({}));
  EXPECT_EQ(after.pause.repeats, 0U);
  EXPECT_TRUE(after.core_to_core.empty() && after.steals.empty() && after.memory.empty() && after.jitter.empty());
  measurements without_pairs = made_up();
  without_pairs.core_to_core.clear();
  EXPECT_EQ(measurements_from_json(to_json(without_pairs)).cpus, without_pairs.cpus);
  EXPECT_TRUE(measurements_from_json(to_json(without_pairs)).core_to_core.empty());
}

TEST(Measurements, ATextThatIsNotUtf8DoesNotStopTheRest) {
  measurements odd = made_up();
  odd.doubts = {"\xff\xfe", "good"};
  EXPECT_EQ(measurements_from_json(to_json(odd)).doubts.at(1), "good");
}

TEST(Measurements, MoreThanIsKnownIsPassedOver) {
  const std::string text = replaced(to_json(made_up()), "\"cpus\"", "\"new\": {\"a\": [1]}, \"cpus\"");
  EXPECT_EQ(measurements_from_json(text).cpus, made_up().cpus);
}

TEST(Measurements, DamageIsRefusedWithItsName) {
  struct damage {
    const char* what;
    const char* by;
    const char* reason;
  };
  const std::vector<damage> all{
      {"remuda measurements", "remuda profile", "kind"},
      {"\"version\": 1", "\"version\": 2", "version is 2"},
      {"\"version\": 1", "\"version\": -1", "version"},
      {"\"version\": 1", "\"version\": 1.0", "version"},
      {"\"version\": 1", "\"version\": \"1\"", "version"},
      {"\"taken_at\"", "\"taken\"", "\"taken_at\" is missing"},
      {"\"2030-01-02T03:04:05Z\"", "5", "taken_at"},
      {"19.5", "-19.5", "seconds"},
      {"19.5", "1e999", "not JSON"},
      {"19.5", "null", "seconds"},
      {"100.25", "\"100\"", "median"},
      {"100.25", "200", "percentiles"},
      {"\"repeats\": 9", "\"repeats\": 0", "repeats"},
      {"\"repeats\": 9", "\"repeats\": 4294967296", "repeats"},
      {"3,\n    7", "3", "row"},
      {"3,\n    7", "3, 7, 8", "row"},
      {"3,\n    7", "3, -7", "cpus"},
      {"\"core_to_core\": [", "\"core_to_core\": [[],", "core_to_core"},
      {"\"core_to_core\": [", "\"core_to_core\": 1, \"c\": [", "core_to_core"},
      {"\"nearness\": \"l3\"", "\"nearness\": 3", "nearness"},
      {"\"steals\": [", "\"steals\": [1,", "nearness"},
      {"\"memory_node\": 1", "\"memory_node\": 1e3", "memory_node"},
      {"\"lost_share\": 0.001", "\"lost_share\": 1.001", "lost_share"},
      {"\"longest_gap_ns\"", "\"longest\"", "longest_gap_ns"},
      {"\"doubts\": [", "\"doubts\": [null,", "doubts"},
      {"\"pause\": {", "\"pause\": [{", "not JSON"},
      {"\"pause\":", "\"pause\": 17, \"p\":", "median"},
      {"\"wake_hot\"", "\"wake\"", "\"wake_hot\" is missing"},
  };
  for (const auto& [what, by, reason] : all) {
    const std::string said = reason_of_refusal(replaced(to_json(made_up()), what, by));
    EXPECT_NE(said.find(reason), std::string::npos) << what << " -> " << by << ": " << said;
  }
}

TEST(Measurements, TextsOfOtherKindsAreRefused) {
  for (const char* text :
       {"", " ", "null", "[]", "{}", "1", "\"remuda measurements\"", "{\"kind\": \"remuda measurements\"}"}) {
    EXPECT_NE(reason_of_refusal(text), "accepted") << text;
  }
  EXPECT_NE(reason_of_refusal(std::string(200'000, '[')), "accepted");
  EXPECT_NE(reason_of_refusal(std::string(3, '\0')), "accepted");
}

TEST(Measurements, NoPartOfTheTextIsTakenForTheWhole) {
  const std::string text = to_json(made_up());
  const std::size_t end = text.find_last_of('}');
  for (std::size_t length = 0; length <= end; length += 7) {
    EXPECT_NE(reason_of_refusal(text.substr(0, length)), "accepted") << length;
  }
}

// Another byte here and there is refused, or gives figures that can be written again.
TEST(Measurements, ChangedBytesDoNoHarm) {
  const std::string text = to_json(made_up());
  std::mt19937 random(7);
  for (int turn = 0; turn < 500; ++turn) {
    std::string changed = text;
    for (int i = 0; i < 2; ++i) changed[random() % changed.size()] = static_cast<char>(random() % 256);
    try {
      const measurements read = measurements_from_json(changed);
      EXPECT_EQ(to_json(measurements_from_json(to_json(read))), to_json(read));
    } catch (const std::runtime_error&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace remuda::topo
