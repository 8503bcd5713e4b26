// Classes with cereal functions, and what only a pointer owns, come back equal.
#include <gtest/gtest.h>

#include <cereal/types/polymorphic.hpp>
#include <map>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "tests/support/wire.hpp"

namespace remuda {
namespace {

using test::round_trip;

struct point {
  int x;
  double y;
  bool operator==(const point&) const = default;
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

// Without gtest's printing, which would take longer to compile than all the rest.
template <class T>
[[gnu::noinline]] void expect_comes_back(const T& value) {
  EXPECT_TRUE(round_trip(value) == value) << typeid(T).name();
}

TEST(Classes, ClassesWithCerealFunctions) {
  expect_comes_back(with_serialize{"name", {{1, 2}}});
  expect_comes_back(with_save_and_load{{{1, "x"}}});
  EXPECT_EQ(round_trip(with_minimal{"minimal"}).text, "minimal");
  EXPECT_EQ(round_trip(versioned{3}).n, 3);
  expect_comes_back(std::vector<with_serialize>{{"a", {}}, {"b", {{1, 1}}}});
  expect_comes_back(tree{1, {{2, {}}, {3, {{4, {}}}}}});
}

TEST(Classes, ATriviallyCopyableClassWithCerealFunctionsUsesThem) {
  const plain_with_function back = round_trip(plain_with_function{1, 2});
  EXPECT_EQ(back.sent, 1);
  EXPECT_EQ(back.not_sent, 0);
  EXPECT_EQ(round_trip(std::vector<plain_with_function>{{1, 2}})[0].not_sent, 0);
  EXPECT_EQ(round_trip(std::array<plain_with_function, 1>{{{1, 2}}})[0].not_sent, 0);
}

TEST(Classes, MoveOnlyOnes) {
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

TEST(Classes, APolymorphicObjectKeepsItsType) {
  auto s = std::make_unique<square>();
  s->side = 4;
  const std::unique_ptr<shape> back = round_trip(std::unique_ptr<shape>(std::move(s)));
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->area(), 16);
}

}  // namespace
}  // namespace remuda

CEREAL_CLASS_VERSION(remuda::versioned, 2)
CEREAL_REGISTER_TYPE_WITH_NAME(remuda::square, "square")
CEREAL_REGISTER_POLYMORPHIC_RELATION(remuda::shape, remuda::square)
