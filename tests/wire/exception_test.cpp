// Exceptions of a worker surface with their own type; what cannot is a remote_error that says what it was (14, P25).
#include <gtest/gtest.h>

#include <any>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "remuda/wire.hpp"
#include "tests/support/wire.hpp"

namespace remuda {

// with names of their own, as they are part of what is tested
struct unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct registered_text : std::logic_error {
  using std::logic_error::logic_error;
};
class registered_value : public std::exception {
 public:
  registered_value() = default;
  registered_value(int line, std::string file) : line_(line), file_(std::move(file)) {}
  int line() const { return line_; }
  const char* what() const noexcept override { return file_.c_str(); }
  template <class Archive>
  void serialize(Archive& ar) {
    ar(line_, file_);
  }

 private:
  int line_ = 0;
  std::string file_;
};
struct registered_plain {
  int number;
};
struct cannot_be_encoded : std::runtime_error {
  cannot_be_encoded() : std::runtime_error("its text") {}
  template <class Archive>
  void save(Archive&) const {
    throw std::logic_error("refuses");
  }
  template <class Archive>
  void load(Archive&) {}
};

namespace {

const bool registered = [] {
  register_exception<registered_text>();
  register_exception<registered_value>();
  register_exception<registered_plain>();
  register_exception<cannot_be_encoded>();
  register_exception<registered_text>();  // once more
  return true;
}();

template <class E>
std::exception_ptr thrown(E e) {
  return std::make_exception_ptr(std::move(e));
}

template <class F>
std::exception_ptr thrown_by(F f) {
  try {
    f();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

// E must be the dynamic type. Calls check(e).
template <class E, class Check>
void expect(const std::exception_ptr& e, Check check) {
  ASSERT_NE(e, nullptr);
  try {
    std::rethrow_exception(e);
  } catch (const E& caught) {
    EXPECT_EQ(typeid(caught), typeid(E)) << typeid(caught).name();
    check(caught);
  } catch (...) {
    ADD_FAILURE() << "another type than " << typeid(E).name();
  }
}

template <class E>
void comes_back(const E& e) {
  expect<E>(test::round_trip(thrown(e)), [&](const E& back) { EXPECT_STREQ(back.what(), e.what()); });
}

TEST(Exception, StandardTypesComeBackAsThemselves) {
  comes_back(std::logic_error("a"));
  comes_back(std::invalid_argument("b"));
  comes_back(std::domain_error("c"));
  comes_back(std::length_error("d"));
  comes_back(std::out_of_range(""));
  comes_back(std::runtime_error("f"));
  comes_back(std::range_error("g"));
  comes_back(std::overflow_error("h"));
  comes_back(std::underflow_error("i"));
  comes_back(std::exception());
  comes_back(std::bad_exception());
  comes_back(std::bad_alloc());
  comes_back(std::bad_array_new_length());
  comes_back(std::bad_cast());
  comes_back(std::bad_typeid());
  comes_back(std::bad_function_call());
  comes_back(std::bad_weak_ptr());
  comes_back(std::bad_any_cast());
  comes_back(std::bad_optional_access());
  comes_back(std::bad_variant_access());
  comes_back(std::regex_error(std::regex_constants::error_paren));
  comes_back(std::future_error(std::future_errc::no_state));
}

TEST(Exception, RemudaTypesComeBackAsThemselves) {
  comes_back(error("a"));
  comes_back(cancelled_error("b"));
  comes_back(timeout_error("c"));
  comes_back(invalid_state_error("d"));
  comes_back(broken_promise("e"));
  comes_back(shutdown_error("f"));
  comes_back(broken_pool_error("g"));
  comes_back(pool_full_error("h"));
  comes_back(serialization_error("i"));
  comes_back(worker_died(9, 17));
  comes_back(remote_error("some::type", "its text"));
}

TEST(Exception, LongTextsComeBackWhole) { comes_back(std::runtime_error(std::string(100'000, 'x'))); }

TEST(Exception, SystemErrorsKeepTheirCode) {
  for (const std::error_code code :
       {std::make_error_code(std::errc::no_such_file_or_directory), std::error_code(5, std::system_category()),
        std::make_error_code(std::io_errc::stream), std::make_error_code(std::future_errc::broken_promise)}) {
    for (const std::system_error& e :
         {std::system_error(code), std::system_error(code, "opening"), std::system_error(code, "")}) {
      comes_back(e);
      expect<std::system_error>(test::round_trip(thrown(e)),
                                [&](const std::system_error& back) { EXPECT_EQ(back.code(), code); });
    }
  }
}

TEST(Exception, AnErrorCodeOfACategoryUnknownElsewhereIsARemoteError) {
  class own_category : public std::error_category {
    const char* name() const noexcept override { return "own"; }
    std::string message(int) const override { return "own message"; }
  };
  const own_category category;
  expect<remote_error>(test::round_trip(thrown(std::system_error(1, category, "own"))), [](const remote_error& e) {
    EXPECT_EQ(e.type(), "std::system_error");
    EXPECT_STREQ(e.what(), "own: own message");
  });
  EXPECT_THROW((void)test::encoded(std::error_code(1, category)), serialization_error);
}

TEST(Exception, FilesystemErrorsKeepTheirPaths) {
  const auto code = std::make_error_code(std::errc::no_such_file_or_directory);
  using std::filesystem::filesystem_error;
  for (const auto& e : {filesystem_error("no path", code), filesystem_error("one", "/a", code),
                        filesystem_error("two", "/a", "/b", code)}) {
    comes_back(e);
    expect<filesystem_error>(test::round_trip(thrown(e)), [&](const filesystem_error& back) {
      EXPECT_EQ(back.path1(), e.path1());
      EXPECT_EQ(back.path2(), e.path2());
      EXPECT_EQ(back.code(), code);
    });
  }
}

TEST(Exception, StreamFailuresComeBack) {
  comes_back(std::ios_base::failure("mine"));
  const std::exception_ptr library = thrown_by([] {
    std::ifstream file;
    file.exceptions(std::ios_base::failbit);
    file.open("/no/such/file");
  });
  expect<std::ios_base::failure>(test::round_trip(library), [](const std::ios_base::failure& back) {
    EXPECT_EQ(back.code(), std::io_errc::stream);
  });
}

TEST(Exception, OtherTypesAreARemoteErrorThatNamesThem) {
  expect<remote_error>(test::round_trip(thrown(unregistered("own text"))), [](const remote_error& e) {
    EXPECT_EQ(e.type(), "remuda::unregistered");
    EXPECT_STREQ(e.what(), "own text");
    EXPECT_EQ(e.nested(), nullptr);
  });
}

TEST(Exception, WhatIsNoExceptionIsARemoteErrorToo) {
  expect<remote_error>(test::round_trip(thrown(42)), [](const remote_error& e) { EXPECT_EQ(e.type(), "int"); });
  expect<remote_error>(test::round_trip(thrown(static_cast<const char*>("text"))), [](const remote_error& e) {
    EXPECT_EQ(e.type(), "char const*");
    EXPECT_STREQ(e.what(), "text");
  });
  expect<remote_error>(test::round_trip(thrown(std::string("text"))),
                       [](const remote_error& e) { EXPECT_STREQ(e.what(), "text"); });
}

TEST(Exception, RegisteredTypesComeBackAsThemselves) {
  comes_back(registered_text("own text"));
  expect<registered_value>(test::round_trip(thrown(registered_value(12, "file.cpp"))), [](const registered_value& e) {
    EXPECT_EQ(e.line(), 12);
    EXPECT_STREQ(e.what(), "file.cpp");
  });
  expect<registered_plain>(test::round_trip(thrown(registered_plain{5})),
                           [](const registered_plain& e) { EXPECT_EQ(e.number, 5); });
}

TEST(Exception, OneThatCannotBeEncodedIsARemoteError) {
  expect<remote_error>(test::round_trip(thrown(cannot_be_encoded())), [](const remote_error& e) {
    EXPECT_EQ(e.type(), "remuda::cannot_be_encoded");
    EXPECT_STREQ(e.what(), "its text");
  });
}

TEST(Exception, OneThatTheReaderDoesNotKnowIsARemoteError) {
  test::bytes all = test::encoded(thrown(registered_text("own text")));
  // another name of the same length
  const std::string_view name = "remuda::registered_text";
  const auto at = std::search(all.begin(), all.end(), name.begin(), name.end(),
                              [](std::byte b, char c) { return static_cast<char>(b) == c; });
  ASSERT_NE(at, all.end());
  *at = std::byte{'X'};
  expect<remote_error>(test::decoded<std::exception_ptr>(all), [](const remote_error& e) {
    EXPECT_EQ(e.type(), "Xemuda::registered_text");
    EXPECT_STREQ(e.what(), "own text");
  });
}

// Three levels: the outermost is thrown last.
template <class Outer, class Middle, class Inner>
std::exception_ptr nested(Outer outer, Middle middle, Inner inner) {
  return thrown_by([&] {
    try {
      try {
        throw inner;
      } catch (...) {
        std::throw_with_nested(middle);
      }
    } catch (...) {
      std::throw_with_nested(outer);
    }
  });
}

std::vector<std::string> texts_of(const std::exception_ptr& e) {
  std::vector<std::string> all;
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& outer) {
    all.emplace_back(outer.what());
    if (const auto inner = thrown_by([&] { std::rethrow_if_nested(outer); })) {
      for (std::string& text : texts_of(inner)) all.push_back(std::move(text));
    }
  }
  return all;
}

TEST(NestedException, ChainsAreRebuilt) {
  const std::vector<std::string> texts{"outer", "middle", "inner"};
  EXPECT_EQ(texts_of(test::round_trip(
                nested(std::runtime_error("outer"), std::logic_error("middle"), std::out_of_range("inner")))),
            texts);
  EXPECT_EQ(texts_of(test::round_trip(
                nested(registered_text("outer"), unregistered("middle"), registered_value(1, "inner")))),
            texts);
}

TEST(NestedException, EachKeepsItsType) {
  const auto back =
      test::round_trip(nested(std::runtime_error("outer"), unregistered("middle"), std::out_of_range("inner")));
  try {
    std::rethrow_exception(back);
  } catch (const std::runtime_error& outer) {
    EXPECT_EQ(typeid(outer), typeid(*&outer));
    const auto middle = thrown_by([&] { std::rethrow_if_nested(outer); });
    ASSERT_NE(middle, nullptr);
    try {
      std::rethrow_exception(middle);
    } catch (const remote_error& e) {
      EXPECT_EQ(e.type(), "remuda::unregistered");
      expect<std::out_of_range>(e.nested(), [](const std::out_of_range&) {});
      expect<std::out_of_range>(thrown_by([&] { std::rethrow_if_nested(e); }), [](const std::out_of_range&) {});
    }
  }
}

TEST(NestedException, ARemoteErrorCanBeSentOn) {
  const auto back = test::round_trip(
      test::round_trip(nested(unregistered("outer"), unregistered("middle"), std::out_of_range("inner"))));
  EXPECT_EQ(texts_of(back), (std::vector<std::string>{"outer", "middle", "inner"}));
}

TEST(NestedException, ARemoteErrorWithoutOneHasNoneToRethrow) {
  const auto back = test::round_trip(thrown(unregistered("alone")));
  EXPECT_EQ(texts_of(back), std::vector<std::string>{"alone"});
}

TEST(NestedException, AChainWithoutEndIsCut) {
  std::exception_ptr e = thrown(std::runtime_error("first"));
  for (int i = 0; i < 1000; ++i) e = detail::with_nested(std::runtime_error("next"), e);
  const auto texts = texts_of(test::round_trip(e));
  EXPECT_GT(texts.size(), 10U);
  EXPECT_LT(texts.size(), 1000U);
}

TEST(WorkerDied, SaysHowAndDuringWhat) {
  const worker_died killed(SIGKILL, 17);
  EXPECT_STREQ(killed.what(), "the worker process was killed by signal 9 (SIGKILL) while it ran task 17");
  EXPECT_EQ(killed.signal(), SIGKILL);
  EXPECT_EQ(killed.exit_code(), std::nullopt);
  EXPECT_EQ(killed.task_id(), 17U);
  const worker_died ended(3 << 8, 4);
  EXPECT_STREQ(ended.what(), "the worker process ended with exit code 3 while it ran task 4");
  EXPECT_EQ(ended.exit_code(), 3);
  EXPECT_EQ(ended.signal(), std::nullopt);
}

}  // namespace
}  // namespace remuda
