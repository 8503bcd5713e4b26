// Containers of everything come back equal.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "tests/support/wire.hpp"

namespace remuda {
namespace {

using test::encoded;
using test::round_trip;

enum class colour : std::uint8_t { red = 3, green = 200 };

struct point {
  int x;
  double y;
  bool operator==(const point&) const = default;
};

struct no_default {
  explicit no_default(int v) : value(v) {}
  int value;
  bool operator==(const no_default&) const = default;
};

struct says_nothing {
  std::string text = "default";
  template <class Archive>
  void serialize(Archive&) {}
};

// Without gtest's printing, which would take longer to compile than all the rest.
template <class T>
[[gnu::noinline]] void expect_comes_back(const T& value) {
  EXPECT_TRUE(round_trip(value) == value) << typeid(T).name();
}

TEST(Containers, Sequences) {
  expect_comes_back(std::vector<int>());
  expect_comes_back(std::vector<int>{1, 2, 3});
  expect_comes_back(std::vector<bool>{true, false, true, true});
  expect_comes_back(std::vector<point>{{1, 1}, {2, 2}});
  expect_comes_back(std::vector<no_default>{no_default(1), no_default(2)});
  expect_comes_back(std::vector<std::array<int, 2>>{{1, 2}, {3, 4}});
  expect_comes_back(std::vector<std::string>{"", "a", "bc"});
  expect_comes_back(std::vector<std::vector<std::vector<int>>>{{{1}, {}}, {}, {{2, 3}}});
  expect_comes_back(std::vector<std::chrono::nanoseconds>{std::chrono::nanoseconds(5)});
  expect_comes_back(std::vector<colour>{colour::red, colour::green});
  expect_comes_back(std::vector<std::pair<int, int>>{{1, 2}, {3, 4}});
  expect_comes_back(std::vector<std::tuple<>>(7));
  expect_comes_back(std::vector<std::monostate>(7));
  expect_comes_back(std::deque<int>{1, 2, 3});
  expect_comes_back(std::deque<no_default>{no_default(1)});
  expect_comes_back(std::list<std::string>{"x", "y"});
  expect_comes_back(std::array<std::string, 2>{"left", "right"});
  expect_comes_back(std::array<int, 0>{});
}

TEST(Containers, PlainElementsTakeNothingButTheirBytesAndACount) {
  EXPECT_EQ(encoded(std::vector<point>(100)).size(), 8 + 100 * sizeof(point));
  EXPECT_EQ(encoded(std::vector<std::chrono::seconds>(100)).size(), 8 + 100 * sizeof(std::chrono::seconds));
  EXPECT_EQ(encoded(std::array<colour, 5>{}).size(), 5U);
}

TEST(Containers, ElementsThatSendNothingAreStillCounted) {
  EXPECT_EQ(round_trip(std::vector<says_nothing>(5)).size(), 5U);
  EXPECT_EQ(round_trip(std::list<says_nothing>(300)).size(), 300U);
}

TEST(Containers, SetsAndMaps) {
  expect_comes_back(std::set<int>{3, 1, 2});
  expect_comes_back(std::multiset<std::string>{"a", "a", "b"});
  expect_comes_back(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  expect_comes_back(std::multimap<int, int>{{1, 3}, {1, 2}, {1, 4}, {2, 0}});
  expect_comes_back(std::unordered_map<std::string, point>{{"a", {1, 2}}, {"b", {3, 4}}});
  expect_comes_back(std::unordered_set<int>{5, 6, 7});
  expect_comes_back(std::unordered_multiset<int>{5, 5});
  expect_comes_back(std::unordered_multimap<int, int>{{5, 1}, {5, 1}});
  expect_comes_back(std::map<std::pair<int, std::string>, std::set<int>>{{{1, "x"}, {1, 2}}});
}

TEST(Containers, HugeOnes) {
  std::vector<std::uint32_t> many(20'000'000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::uint32_t>(i * 2654435761U);
  EXPECT_TRUE(round_trip(many) == many);
  expect_comes_back(std::vector<std::string>(100'000, "element"));
}

}  // namespace
}  // namespace remuda
