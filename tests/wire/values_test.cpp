// Values that are one thing come back equal: numbers, texts, times, choices, error codes.
#include <gtest/gtest.h>

#include <chrono>
#include <climits>
#include <cmath>
#include <complex>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <typeinfo>
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

// Without gtest's printing, which would take longer to compile than all the rest.
template <class T>
[[gnu::noinline]] void expect_comes_back(const T& value) {
  EXPECT_TRUE(round_trip(value) == value) << typeid(T).name();
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

TEST(Values, ErrorCodesAndExceptions) {
  expect_comes_back(std::error_code());
  expect_comes_back(std::make_error_code(std::errc::io_error));
  expect_comes_back(std::error_code(5, std::system_category()));
  expect_comes_back(std::vector<std::error_code>{std::make_error_code(std::io_errc::stream)});
  const auto back = round_trip(std::make_exception_ptr(std::out_of_range("far")));
  EXPECT_THROW(std::rethrow_exception(back), std::out_of_range);
  EXPECT_EQ(round_trip(std::exception_ptr()), nullptr);
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
