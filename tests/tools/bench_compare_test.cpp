// Two reports side by side: what counts as a change, and what is said of it.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tools/run_program.hpp"
#include "tools/remuda/bench/comparison.hpp"
#include "tools/remuda/bench/results.hpp"
#include "tools/remuda/bench/statistics.hpp"

namespace {

using nlohmann::json;
using tools_test::finished;
using tools_test::run_program;
using tools_test::temporary_folder;
using namespace remuda::tool::bench;

using rounds = std::vector<double>;

TEST(statistics, a_change_counts_only_when_chance_hardly_makes_it) {
  struct example {
    rounds a, b;
    finding found;
  };
  const std::vector<example> all = {
      {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}, finding::larger},
      {{6, 7, 8, 9, 10}, {1, 2, 3, 4, 5}, finding::smaller},
      {{1, 2, 3, 4, 6}, {5, 7, 8, 9, 10}, finding::within_noise},  // one pair: 4 of 252 orders, both sides counted
      {{1, 2, 3, 4, 5}, {5, 7, 8, 9, 10}, finding::within_noise},  // a tie speaks for no difference
      {{7, 7, 7, 7, 7}, {7, 7, 7, 7, 7}, finding::within_noise},
      {{1, 2, 3}, {100, 200, 300}, finding::too_few_rounds},  // 2 of 20 orders
      {{1, 2, 3, 4}, {6, 7, 8, 9}, finding::too_few_rounds},  // 2 of 70
      {{1, 2, 3, 4}, {5, 6, 7, 8, 9, 10}, finding::larger},   // 2 of 210
      {{1}, {2}, finding::too_few_rounds},
      {{}, {1, 2, 3, 4, 5}, finding::too_few_rounds},
      {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {5.5, 11, 12, 13, 14, 15, 16, 17, 18, 19}, finding::larger},
  };
  for (const example& e : all) {
    SCOPED_TRACE(testing::PrintToString(e.a) + testing::PrintToString(e.b));
    EXPECT_EQ(compare_rounds(e.a, e.b).found, e.found);
  }
}

TEST(statistics, the_interval_holds_the_ratio_and_excludes_one_when_the_change_counts) {
  const auto d = compare_rounds({10, 11, 12, 13, 14}, {20, 22, 24, 26, 28});
  ASSERT_TRUE(d.interval);
  EXPECT_DOUBLE_EQ(d.interval->ratio, 2);
  EXPECT_DOUBLE_EQ(d.interval->low, 20.0 / 14);
  EXPECT_DOUBLE_EQ(d.interval->high, 28.0 / 10);
  const auto overlapping = compare_rounds({10, 11, 12, 13, 14}, {9, 11, 12, 13, 15});
  ASSERT_TRUE(overlapping.interval);
  EXPECT_LT(overlapping.interval->low, 1);
  EXPECT_GT(overlapping.interval->high, 1);
  // more rounds leave less room than from the least quotient to the largest one
  rounds a, b;
  for (int i = 0; i < 20; ++i) {
    a.push_back(100 + i);
    b.push_back(100 + i);
  }
  const auto many = compare_rounds(a, b);
  ASSERT_TRUE(many.interval);
  EXPECT_GT(many.interval->low, 100.0 / 119);
  EXPECT_LT(many.interval->low, 1);
  // rounds of 0 have no ratio, but an order
  const auto zero = compare_rounds({0, 0, 0, 0, 0}, {1, 1, 1, 1, 1});
  EXPECT_FALSE(zero.interval);
  EXPECT_EQ(zero.found, finding::larger);
}

/// A report of rows with one contestant each.
report report_of(const std::vector<std::pair<std::string, rounds>>& rows, const std::string& column = "ns") {
  report r;
  r.taken_at = "2026-11-26T21:30:05Z";
  r.host.cpu_model = "Some CPU";
  r.host.kernel = "6.1";
  r.host.usable_cpus = 4;
  for (const auto& [name, values] : rows) {
    result one;
    const auto slash = name.find('/');
    one.contestant = name.substr(slash + 1);
    one.rounds[column] = values;
    r.rows.push_back({name.substr(0, slash), {one}});
  }
  return r;
}

const rounds slow{20, 21, 22, 23, 24};
const rounds fast{10, 11, 12, 13, 14};
const rounds slower_by_little{21.5, 22, 23, 24, 25};

TEST(comparison, the_largest_change_comes_first_and_what_is_beyond_noise_is_marked) {
  const auto c = compare(report_of({{"one/remuda", slow}, {"two/remuda", slow}, {"three/remuda", slow}}),
                         report_of({{"one/remuda", slower_by_little}, {"two/remuda", fast}, {"three/remuda", {1, 2}}}));
  ASSERT_EQ(c.changes.size(), 3U);
  EXPECT_EQ(c.changes[0].row, "three");
  EXPECT_FALSE(c.changes[0].better || c.changes[0].worse) << "two rounds are too few";
  EXPECT_EQ(c.changes[1].row, "two");
  EXPECT_TRUE(c.changes[1].better);
  EXPECT_NEAR(*c.changes[1].percent(), -45.5, 1);
  EXPECT_EQ(c.changes[2].row, "one");
  EXPECT_FALSE(c.changes[2].better || c.changes[2].worse) << "the rounds overlap";
  const auto text = to_text(c);
  EXPECT_NE(text.find("not enough rounds"), std::string::npos) << text;
  EXPECT_NE(text.find("1 better and 0 worse beyond noise, of 3 compared"), std::string::npos) << text;
}

TEST(comparison, in_a_row_where_more_is_better_less_is_worse) {
  const auto c = compare(report_of({{"nested_wait/remuda", {8, 8, 8, 8, 8}}}, "finished"),
                         report_of({{"nested_wait/remuda", {2, 2, 2, 2, 2}}}, "finished"));
  ASSERT_EQ(c.changes.size(), 1U);
  EXPECT_TRUE(c.changes[0].worse);
  EXPECT_TRUE(c.regressed());
}

TEST(comparison, only_remuda_can_regress_and_others_tell_how_the_machine_drifted) {
  const auto c = compare(report_of({{"one/tbb", fast}, {"two/remuda", slow}}),
                         report_of({{"one/tbb", slow}, {"two/remuda", fast}}));
  EXPECT_FALSE(c.regressed());
  ASSERT_TRUE(c.drift_percent);
  EXPECT_NEAR(*c.drift_percent, 83, 2);
}

TEST(comparison, rows_of_one_report_only_are_listed) {
  const auto c = compare(report_of({{"both/remuda", fast}, {"old/remuda", fast}, {"x/tbb", fast}}),
                         report_of({{"both/remuda", fast}, {"new/remuda", fast}, {"x/asio", fast}}));
  EXPECT_EQ(c.only_a, (std::vector<std::string>{"old/remuda", "x/tbb"}));
  EXPECT_EQ(c.only_b, (std::vector<std::string>{"new/remuda", "x/asio"}));
  EXPECT_EQ(c.changes.size(), 1U);
}

TEST(comparison, different_conditions_are_warned_of) {
  const auto a = report_of({{"one/remuda", fast}});
  EXPECT_TRUE(compare(a, a).warnings.empty());
  auto b = a;
  b.host.kernel = "6.9";
  b.host.boost = true;
  b.quick = true;
  const auto c = compare(a, b);
  const auto text = to_text(c);
  for (const char* part : {"kernel: 6.1 | 6.9", "boost: not told | on", "rounds: full | quick", "B: Quick rounds"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in\n" << text;
  }
}

TEST(comparison, the_verb_reads_folders_and_files_and_fails_only_when_asked) {
  const temporary_folder folder;
  const auto a = folder.write("a/report.json", to_json(report_of({{"callback/remuda", fast}})));
  const auto b = folder.write("b/report.json", to_json(report_of({{"callback/remuda", slow}})));
  const auto run = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {REMUDA_PROGRAM, "bench", "compare"});
    return run_program(arguments);
  };
  const finished f = run({a.parent_path().string(), b.string(), "--json"});
  EXPECT_EQ(f.status, 0) << f.err;
  const json c = json::parse(f.out);
  EXPECT_EQ(c.at("changes").at(0).at("verdict"), "worse");
  EXPECT_EQ(c.at("changes").at(0).at("column"), "ns");
  EXPECT_GT(c.at("changes").at(0).at("percent_low"), 0);
  EXPECT_EQ(c.at("regressed"), true);
  EXPECT_EQ(run({a.string(), b.string(), "--fail-on-regression"}).status, 10);
  EXPECT_EQ(run({b.string(), a.string(), "--fail-on-regression"}).status, 0);
  EXPECT_EQ(run({a.string(), a.string(), "--fail-on-regression"}).status, 0);
  EXPECT_EQ(run({a.string(), "/nowhere"}).status, 1);
  EXPECT_EQ(run({a.string()}).status, 2);
}

}  // namespace
