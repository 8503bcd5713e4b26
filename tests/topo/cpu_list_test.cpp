#include "runtime/topo/cpu_list.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace remuda::topo {
namespace {

using numbers = std::vector<unsigned>;

TEST(CpuList, ReadsNumbersAndRangesInAnyOrderEachOnce) {
  EXPECT_EQ(parse_cpu_list("0"), (numbers{0}));
  EXPECT_EQ(parse_cpu_list("0-3,8"), (numbers{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_cpu_list("8,2-4,3-3,0,4-5,2"), (numbers{0, 2, 3, 4, 5, 8}));
  EXPECT_EQ(parse_cpu_list(" 1 , 2-3\n"), (numbers{1, 2, 3}));
  EXPECT_EQ(parse_cpu_list("65535"), (numbers{65535}));
  EXPECT_EQ(parse_cpu_list(""), numbers{});
  EXPECT_EQ(parse_cpu_list(" \n"), numbers{});
}

TEST(CpuList, RefusesAllElse) {
  for (const char* bad : {",",      "1,",     ",1",    "1,,2",    "-",          "-1",         "1-",
                          "3-1",    "1-2-3",  "0x1",   "1 2",     "a",          "+1",         "1.5",
                          "all",    "(null)", "65536", "0-65536", "4294967295", "4294967296", "99999999999999999999",
                          "0-3:2/4"}) {
    EXPECT_EQ(parse_cpu_list(bad), std::nullopt) << bad;
  }
}

TEST(CpuList, RangesThatAreRepeatedCostTheirTextOnly) {
  std::string text = "0-65535";
  for (int i = 0; i < 10'000; ++i) text += ",0-65535";
  numbers all(largest_cpu_number + 1);
  std::iota(all.begin(), all.end(), 0U);
  EXPECT_EQ(parse_cpu_list(text), all);
}

TEST(CpuList, WritesRangesAndReadsThemBack) {
  EXPECT_EQ(to_cpu_list({}), "");
  EXPECT_EQ(to_cpu_list({5}), "5");
  EXPECT_EQ(to_cpu_list({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(to_cpu_list({1, 3, 4, 9}), "1,3-4,9");
  for (const char* text : {"0", "0-1", "0,2,4-9,11-65535"}) {
    EXPECT_EQ(to_cpu_list(parse_cpu_list(text).value()), text);
  }
}

}  // namespace
}  // namespace remuda::topo
