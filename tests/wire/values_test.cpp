// Every kind of value that travels comes back equal.
#include <gtest/gtest.h>

#include <cereal/types/polymorphic.hpp>
#include <chrono>
#include <climits>
#include <cmath>
#include <complex>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
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

struct with_serialize {
  std::string name;
  std::vector<point> points;
  bool operator==(const with_serialize&) const = default;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(name, points);
  }
};

struct with_save_and_load {
  std::map<int, std::string> texts;
  bool operator==(const with_save_and_load&) const = default;
};
template <class Archive>
void save(Archive& ar, const with_save_and_load& v) {
  ar(v.texts);
}
template <class Archive>
void load(Archive& ar, with_save_and_load& v) {
  ar(v.texts);
}

struct with_minimal {
  std::string text;
  template <class Archive>
  std::string save_minimal(const Archive&) const {
    return text;
  }
  template <class Archive>
  void load_minimal(const Archive&, const std::string& from) {
    text = from;
  }
};

// Trivially copyable, but its cereal function says what shall be sent.
struct plain_with_function {
  int sent = 0;
  int not_sent = 0;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(sent);
  }
};

struct versioned {
  int n = 0;
  template <class Archive>
  void serialize(Archive& ar, std::uint32_t version) {
    if (version >= 2) ar(n);
  }
};

struct says_nothing {
  std::string text = "default";
  template <class Archive>
  void serialize(Archive&) {}
};

struct tree {
  int value = 0;
  std::vector<tree> children;
  bool operator==(const tree&) const = default;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(value, children);
  }
};

struct shape {
  shape() = default;
  shape(const shape&) = delete;
  shape& operator=(const shape&) = delete;
  virtual ~shape() = default;
  virtual int area() const = 0;
};
struct square : shape {
  int side = 0;
  int area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& ar) {
    ar(side);
  }
};

// Only what cereal is told to construct has one.
struct built_on_load {
  explicit built_on_load(int n) : n_(n) {}
  int n_;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n_);
  }
  template <class Archive>
  static void load_and_construct(Archive& ar, cereal::construct<built_on_load>& construct) {
    int n = 0;
    ar(n);
    construct(n);
  }
};

template <class T>
void expect_comes_back(const T& value) {
  EXPECT_EQ(round_trip(value), value);
}

TEST(Values, Numbers) {
  expect_comes_back(0);
  expect_comes_back(INT_MIN);
  expect_comes_back(LLONG_MAX);
  expect_comes_back('x');
  expect_comes_back(true);
  expect_comes_back(false);
  expect_comes_back(std::numeric_limits<double>::denorm_min());
  expect_comes_back(-std::numeric_limits<float>::infinity());
  expect_comes_back(3.0L);
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<double>::quiet_NaN())));
  expect_comes_back(std::byte{0xfe});
  expect_comes_back(colour::green);
}

TEST(Values, PlainClasses) {
  expect_comes_back(point{1, 2.5});
  expect_comes_back(no_default(4));
  expect_comes_back(std::array<point, 3>{point{1, 1}, point{2, 2}, point{3, 3}});
  expect_comes_back(std::complex<double>(1, 2));
  expect_comes_back(std::monostate{});
  EXPECT_EQ(encoded(point{1, 2.5}).size(), sizeof(point));
}

TEST(Values, Strings) {
  expect_comes_back(std::string());
  expect_comes_back(std::string("text with \0 inside", 18));
  expect_comes_back(std::string(1'000'000, 'z'));
  expect_comes_back(std::wstring(L"wide"));
  expect_comes_back(std::u32string(U"\U0001F40E"));
  expect_comes_back(std::filesystem::path("/tmp/some where"));
}

TEST(Values, Sequences) {
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

TEST(Values, PlainElementsTakeNothingButTheirBytesAndACount) {
  EXPECT_EQ(encoded(std::vector<point>(100)).size(), 8 + 100 * sizeof(point));
  EXPECT_EQ(encoded(std::vector<std::chrono::seconds>(100)).size(), 8 + 100 * sizeof(std::chrono::seconds));
  EXPECT_EQ(encoded(std::array<colour, 5>{}).size(), 5U);
}

TEST(Values, ElementsThatSendNothingAreStillCounted) {
  EXPECT_EQ(round_trip(std::vector<says_nothing>(5)).size(), 5U);
  EXPECT_EQ(round_trip(std::list<says_nothing>(300)).size(), 300U);
}

TEST(Values, SetsAndMaps) {
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

TEST(Values, TuplesOptionalsVariants) {
  expect_comes_back(std::tuple<>());
  expect_comes_back(std::tuple<int, std::string, point>(1, "two", {3, 4}));
  expect_comes_back(std::pair<std::string, int>("a", 1));
  expect_comes_back(std::optional<int>());
  expect_comes_back(std::optional<int>(3));
  expect_comes_back(std::optional<std::string>("x"));
  expect_comes_back(std::variant<int, std::string, point>(std::string("second")));
  expect_comes_back(std::variant<int, double>(2.0));
  expect_comes_back(std::variant<std::monostate, std::string>());
  expect_comes_back(std::optional<std::variant<std::vector<std::string>, int>>(std::vector<std::string>{"deep"}));
}

TEST(Values, Times) {
  expect_comes_back(std::chrono::milliseconds(-7));
  expect_comes_back(std::chrono::duration<double>(1.5));
  expect_comes_back(std::chrono::system_clock::now());
  expect_comes_back(std::chrono::steady_clock::now());
}

TEST(Values, MoveOnlyOnes) {
  EXPECT_EQ(*round_trip(std::make_unique<int>(5)), 5);
  EXPECT_EQ(round_trip(std::unique_ptr<std::string>()), nullptr);
  EXPECT_EQ(round_trip(std::make_unique<with_serialize>())->name, "");
  EXPECT_EQ(round_trip(std::make_unique<built_on_load>(9))->n_, 9);
  std::vector<std::unique_ptr<std::string>> several;
  several.push_back(std::make_unique<std::string>("one"));
  several.push_back(nullptr);
  const auto back = round_trip(several);
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(*back[0], "one");
  EXPECT_EQ(back[1], nullptr);
}

TEST(Values, APolymorphicObjectKeepsItsType) {
  auto s = std::make_unique<square>();
  s->side = 4;
  const std::unique_ptr<shape> back = round_trip(std::unique_ptr<shape>(std::move(s)));
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->area(), 16);
}

TEST(Values, ClassesWithCerealFunctions) {
  expect_comes_back(with_serialize{"name", {{1, 2}}});
  expect_comes_back(with_save_and_load{{{1, "x"}}});
  EXPECT_EQ(round_trip(with_minimal{"minimal"}).text, "minimal");
  EXPECT_EQ(round_trip(versioned{3}).n, 3);
  expect_comes_back(std::vector<with_serialize>{{"a", {}}, {"b", {{1, 1}}}});
  expect_comes_back(tree{1, {{2, {}}, {3, {{4, {}}}}}});
}

TEST(Values, ATriviallyCopyableClassWithCerealFunctionsUsesThem) {
  const plain_with_function back = round_trip(plain_with_function{1, 2});
  EXPECT_EQ(back.sent, 1);
  EXPECT_EQ(back.not_sent, 0);
  EXPECT_EQ(round_trip(std::vector<plain_with_function>{{1, 2}})[0].not_sent, 0);
  EXPECT_EQ(round_trip(std::array<plain_with_function, 1>{{{1, 2}}})[0].not_sent, 0);
}

TEST(Values, ErrorCodesAndExceptions) {
  expect_comes_back(std::error_code());
  expect_comes_back(std::make_error_code(std::errc::io_error));
  expect_comes_back(std::error_code(5, std::system_category()));
  expect_comes_back(std::vector<std::error_code>{std::make_error_code(std::io_errc::stream)});
  const auto back = round_trip(std::make_exception_ptr(std::out_of_range("far")));
  EXPECT_THROW(std::rethrow_exception(back), std::out_of_range);
  EXPECT_EQ(round_trip(std::exception_ptr()), nullptr);
}

TEST(Values, HugeOnes) {
  std::vector<std::uint32_t> many(20'000'000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::uint32_t>(i * 2654435761U);
  EXPECT_TRUE(round_trip(many) == many);
  expect_comes_back(std::vector<std::string>(100'000, "element"));
}

TEST(Values, SeveralInARow) {
  detail::vector_writer to;
  detail::wire_write(to, std::string("first"));
  detail::wire_write(to, 2);
  detail::wire_write(to, std::vector<std::string>{"third"});
  const test::bytes all = to.take();
  detail::wire_reader from(all.data(), all.size());
  EXPECT_EQ(detail::wire_read<std::string>(from), "first");
  EXPECT_EQ(detail::wire_read<int>(from), 2);
  EXPECT_EQ(detail::wire_read<std::vector<std::string>>(from), std::vector<std::string>{"third"});
  EXPECT_EQ(from.left(), 0U);
}

}  // namespace
}  // namespace remuda

CEREAL_CLASS_VERSION(remuda::versioned, 2)
CEREAL_REGISTER_TYPE_WITH_NAME(remuda::square, "square")
CEREAL_REGISTER_POLYMORPHIC_RELATION(remuda::shape, remuda::square)
