// Promise 10: futures in print.
#define FMT_HEADER_ONLY  // this one program needs fmt; the library does not
#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <string>

#include "remuda/format.hpp"
#include "remuda/future.hpp"
#include "remuda/thread_pool.hpp"
#include "tests/support/eventually.hpp"

namespace {

using namespace remuda;
using namespace remuda::test;

/// All three ways to print say the same.
template <class T>
std::string printed(const future<T>& f) {
  std::ostringstream stream;
  stream << f;
  const std::string text = to_string(f);
  EXPECT_EQ(stream.str(), text);
  EXPECT_EQ(fmt::format("{}", f), text);
  return text;
}

struct an_error_of_the_test : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(Promise10Print, Pending) {
  const promise<int> p;
  EXPECT_EQ(printed(p.get_future()), "pending");
}

TEST(Promise10Print, Running) {
  gate g;
  thread_pool pool(1);
  const gate_opener opener(g);
  const auto f = pool.submit([&] { g.wait(); });
  ASSERT_TRUE(eventually([&] { return f.running(); }));
  EXPECT_EQ(printed(f), "running");
}

TEST(Promise10Print, Cancelled) {
  const promise<int> p;
  ASSERT_TRUE(p.get_future().cancel());
  EXPECT_EQ(printed(p.get_future()), "cancelled");
}

TEST(Promise10Print, Value) {
  promise<void> p;
  p.set_value();
  EXPECT_EQ(printed(p.get_future()), "value");
}

TEST(Promise10Print, ErrorWithItsTypeName) {
  promise<int> standard;
  standard.set_error(std::make_exception_ptr(std::domain_error("no")));
  EXPECT_TRUE(printed(standard.get_future()).starts_with("error"));
  EXPECT_NE(printed(standard.get_future()).find("std::domain_error"), std::string::npos)
      << printed(standard.get_future());

  promise<int> own;
  own.set_error(std::make_exception_ptr(an_error_of_the_test("no")));
  EXPECT_NE(printed(own.get_future()).find("an_error_of_the_test"), std::string::npos) << printed(own.get_future());

  promise<int> no_class;
  no_class.set_error(std::make_exception_ptr(17));
  EXPECT_NE(printed(no_class.get_future()).find("int"), std::string::npos) << printed(no_class.get_future());
}

TEST(Promise10Print, TakenAndEmpty) {
  promise<int> p;
  p.set_value(1);
  auto f = p.get_future();
  ASSERT_EQ(f.take(), 1);
  EXPECT_EQ(printed(f), "taken");
  EXPECT_EQ(printed(future<int>()), "empty");
}

TEST(Promise10Print, FmtPadsAsItPadsText) {
  promise<int> p;
  p.set_value(1);
  EXPECT_EQ(fmt::format("{:>7}", p.get_future()), "  value");
}

}  // namespace
