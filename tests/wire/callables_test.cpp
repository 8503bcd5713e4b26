// Functions and function objects: rebuilt on the other side, called there.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/support/wire.hpp"

namespace remuda {
namespace {

using test::encoded;
using test::round_trip;

int doubled(int n) { return 2 * n; }
int tripled(int n) noexcept { return 3 * n; }

struct empty_object {
  int operator()(int n) const { return n + 1; }
};

struct with_state {
  std::string prefix;
  std::string operator()(int n) const { return prefix + std::to_string(n); }
  template <class Archive>
  void serialize(Archive& ar) {
    ar(prefix);
  }
};

template <class F>
std::size_t size_of(const F& f) {
  return encoded(f).size();
}

TEST(Callables, NothingIsSentOfALambdaWithoutCaptures) {
  const auto f = [](int n) { return n - 1; };
  EXPECT_EQ(size_of(f), 0U);
  EXPECT_EQ(round_trip(f)(8), 7);
}

TEST(Callables, NorOfOneThatOnlyHasACaptureDefault) {
  const auto f = [=](int n) { return n - 1; };
  static_assert(!std::default_initializable<decltype(f)>);
  EXPECT_EQ(size_of(f), 0U);
  EXPECT_EQ(round_trip(f)(8), 7);
}

TEST(Callables, NorOfAnEmptyFunctionObject) {
  EXPECT_EQ(size_of(empty_object{}), 0U);
  EXPECT_EQ(round_trip(empty_object{})(8), 9);
  EXPECT_EQ(size_of(std::plus<>{}), 0U);
  EXPECT_EQ(round_trip(std::plus<>{})(1, 2), 3);
}

TEST(Callables, AClosureOfPlainCapturesIsItsBytes) {
  int a = 3;
  double b = 0.5;
  const auto f = [a, b](int n) { return a * n + b; };
  EXPECT_EQ(size_of(f), sizeof f);
  EXPECT_EQ(round_trip(f)(2), 6.5);
}

TEST(Callables, AFunctionObjectWithCerealFunctions) { EXPECT_EQ(round_trip(with_state{"n="})(3), "n=3"); }

TEST(Callables, PointersToFunctions) {
  EXPECT_EQ(round_trip(&doubled)(4), 8);
  EXPECT_EQ(round_trip(&tripled)(4), 12);
  EXPECT_EQ(round_trip(static_cast<int (*)(int)>(nullptr)), nullptr);
  // anything but the address, which would mean nothing elsewhere
  EXPECT_NE(encoded(&doubled), encoded(reinterpret_cast<std::uintptr_t>(&doubled)));
  const std::vector<int (*)(int)> several{doubled, nullptr, tripled};
  EXPECT_EQ(round_trip(several), several);
}

TEST(Callables, APointerToNoFunctionIsRefusedOnArrival) {
  const detail::code_ref unknown_module = detail::code_ref{1000} << 48;
  const detail::code_ref outside_of_the_code = 1;
  for (const detail::code_ref bad : {unknown_module, outside_of_the_code}) {
    EXPECT_THROW((void)test::decoded<int (*)(int)>(encoded(bad)), error);
  }
}

TEST(Callables, TravelIsAPropertyOfTheType) {
  std::string text;
  int n = 0;
  const auto plain = [n] { return n; };
  const auto with_string = [text] { return text; };
  static_assert(detail::callable_travels<decltype(&doubled)>);
  static_assert(detail::callable_travels<std::remove_const_t<decltype(plain)>>);
  static_assert(!detail::callable_travels<std::remove_const_t<decltype(with_string)>>);
  static_assert(!detail::callable_travels<std::function<void()>>);
  static_assert(!detail::callable_travels<int (with_state::*)()>);
}

}  // namespace
}  // namespace remuda
