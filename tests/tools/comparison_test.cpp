// What the demo concludes from its rounds, and how it tells: what cannot be provoked from outside is tested here.

#include "tools/demo_job/comparison.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/demo_job/files.hpp"
#include "tools/demo_job/report.hpp"

namespace {

using demo::digest;

const std::vector<std::string> paths = {"first", "second", "third"};

digest some_digest() {
  digest d;
  d.crc32 = 1;
  d.bytes = 2;
  d.words = 1;
  return d;
}

/// What is concluded when a second round finds `second` in the second file, and all else is equal.
demo::comparison::verdict conclude_with(const digest& second) {
  demo::comparison comparison(paths.size());
  comparison.add({some_digest(), some_digest(), some_digest()});
  comparison.add({some_digest(), second, some_digest()});
  return comparison.conclude(paths);
}

TEST(comparison, equal_results_agree) {
  const auto v = conclude_with(some_digest());
  EXPECT_EQ(v.names, paths);
  EXPECT_EQ(v.digests.size(), paths.size());
  EXPECT_TRUE(v.unread.empty() && v.changed.empty() && v.disagreeing.empty());
}

TEST(comparison, any_difference_in_a_result_disagrees) {
  std::vector<digest> wrong(3, some_digest());
  wrong[0].crc32 += 1;
  wrong[1].bytes += 1;
  wrong[2].words += 1;
  for (const auto& d : wrong) {
    const auto v = conclude_with(d);
    EXPECT_EQ(v.disagreeing, std::vector<std::string>{"second"});
    EXPECT_EQ(v.names, (std::vector<std::string>{"first", "third"}));
  }
}

TEST(comparison, a_file_that_was_written_to_meanwhile_is_not_compared) {
  digest rewritten = some_digest();
  rewritten.of.nanoseconds = 1;
  rewritten.words += 1;
  digest in_flux = some_digest();
  in_flux.changed = true;
  for (const auto& d : {rewritten, in_flux}) {
    const auto v = conclude_with(d);
    EXPECT_EQ(v.changed, std::vector<std::string>{"second"});
    EXPECT_TRUE(v.disagreeing.empty());
  }
}

TEST(comparison, a_file_that_vanished_is_unread_and_no_disagreement) {
  digest vanished;
  vanished.error = ENOENT;
  const auto v = conclude_with(vanished);
  ASSERT_EQ(v.unread.size(), 1U);
  EXPECT_EQ(v.unread[0].path, "second");
  EXPECT_EQ(v.unread[0].error, ENOENT);
  EXPECT_TRUE(v.disagreeing.empty());
}

TEST(comparison, a_round_of_some_files_is_compared_with_those_files) {
  demo::comparison comparison(paths.size());
  comparison.add({some_digest(), some_digest(), some_digest()});
  digest wrong = some_digest();
  wrong.words += 1;
  comparison.add({some_digest(), wrong}, {0, 2});
  const auto v = comparison.conclude(paths);
  EXPECT_EQ(v.disagreeing, std::vector<std::string>{"third"});
  EXPECT_EQ(v.names, (std::vector<std::string>{"first", "second"}));
}

TEST(files, chosen_ones_are_evenly_spread_and_no_more_than_there_are) {
  using indices = std::vector<std::size_t>;
  EXPECT_EQ(demo::evenly_spread(3, 9), (indices{0, 3, 6}));
  EXPECT_EQ(demo::evenly_spread(2, 3), (indices{0, 1}));
  EXPECT_EQ(demo::evenly_spread(5, 3), (indices{0, 1, 2}));
  EXPECT_EQ(demo::evenly_spread(5, 0), indices{});
}

TEST(report, tells_a_disagreement_everywhere) {
  digest wrong = some_digest();
  wrong.crc32 += 1;
  demo::report r;
  r.files = paths.size();
  r.verdict = conclude_with(wrong);
  EXPECT_NE(demo::to_complaints(r).find("DISAGREE on \"second\""), std::string::npos);
  EXPECT_EQ(demo::to_table(r).find("The three ways agree"), std::string::npos);
  const auto json = nlohmann::json::parse(demo::to_json(r));
  EXPECT_EQ(json.at("agree"), false);
  EXPECT_EQ(json.at("disagreeing"), nlohmann::json::array({"second"}));
}

TEST(report, many_complaints_of_a_kind_are_cut_short_and_counted) {
  demo::report r;
  r.verdict.changed.assign(1000, "file");
  const std::string text = demo::to_complaints(r);
  EXPECT_LT(text.size(), std::string("remuda-demo: \"file\" changed meanwhile, not compared\n").size() * 100);
  EXPECT_NE(text.find("more"), std::string::npos);
}

}  // namespace
