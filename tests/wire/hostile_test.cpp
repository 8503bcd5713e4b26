// P31: bytes that no encoder wrote are refused, and nothing else happens: no read past the end, no allocation that the
// bytes do not pay for, no endless loop, no stack that overflows.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "tests/support/wire.hpp"

namespace {

std::atomic<std::size_t> allocated{0};

}  // namespace

void* operator new(std::size_t n) {
  allocated += n;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace remuda {
namespace {

using test::bytes;
using test::decoded;
using test::encoded;

struct large {
  char text[1000];
};

struct holds_large {
  std::optional<large> content;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(content);
  }
};

struct says_nothing {
  std::string text;
  template <class Archive>
  void serialize(Archive&) {}
};

struct tree {
  std::vector<tree> children;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(children);
  }
};

struct chain {
  std::unique_ptr<chain> next;
  char after = 0;  // or a compiler may make a loop of it, which needs no stack
  template <class Archive>
  void serialize(Archive& ar) {
    ar(next, after);
  }
};

// Every beginning of an encoded value is too short.
template <class T>
[[gnu::noinline]] void refuses_every_truncation(const T& value) {
  const bytes all = encoded(value);
  ASSERT_NO_THROW((void)decoded<T>(all));
  for (std::size_t n = 0; n < all.size(); ++n) {
    EXPECT_THROW((void)decoded<T>({all.data(), n}), serialization_error) << n << " of " << all.size() << " bytes";
  }
}

TEST(Truncated, AtEveryByte) {
  refuses_every_truncation(7);
  refuses_every_truncation(true);
  refuses_every_truncation(large{});
  refuses_every_truncation(std::string("some text"));
  refuses_every_truncation(std::wstring(L"some text"));
  refuses_every_truncation(std::vector<int>{1, 2, 3});
  refuses_every_truncation(std::vector<bool>{true, false});
  refuses_every_truncation(std::vector<std::string>{"a", "", "bcd"});
  refuses_every_truncation(std::vector<says_nothing>(3));
  refuses_every_truncation(std::deque<int>{1, 2});
  refuses_every_truncation(std::list<std::string>{"x"});
  refuses_every_truncation(std::array<std::string, 2>{"a", "b"});
  refuses_every_truncation(std::map<std::string, int>{{"a", 1}, {"b", 2}});
  refuses_every_truncation(std::set<std::string>{"a", "b"});
  refuses_every_truncation(std::unordered_map<int, std::string>{{1, "x"}});
  refuses_every_truncation(std::unordered_set<int>{1, 2, 3});
  refuses_every_truncation(std::tuple<int, std::string>(1, "a"));
  refuses_every_truncation(std::optional<std::string>("a"));
  refuses_every_truncation(std::variant<int, std::string>("a"));
  refuses_every_truncation(std::make_unique<std::string>("a"));
  refuses_every_truncation(std::filesystem::path("/a"));
  refuses_every_truncation(std::make_error_code(std::errc::io_error));
  refuses_every_truncation(tree{{tree{}, tree{{tree{}}}}});
}

TEST(Truncated, ExceptionsAtEveryByte) {
  std::exception_ptr e;
  try {
    try {
      throw std::system_error(std::make_error_code(std::errc::io_error), "inner");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (...) {
    e = std::current_exception();
  }
  refuses_every_truncation(e);
}

// A count that lies, followed by `bytes_left` bytes that are there.
template <class T>
[[gnu::noinline]] void refuses_count(std::uint64_t count, std::size_t bytes_left) {
  bytes all = encoded(count);
  all.resize(all.size() + bytes_left);
  const std::size_t before = allocated;
  EXPECT_THROW((void)decoded<T>(all), serialization_error) << count << " elements in " << bytes_left << " bytes";
  // what a value of that many bytes could have taken, and the text of the exception
  EXPECT_LT(allocated - before, 1000 + 100 * all.size()) << count << " elements in " << bytes_left << " bytes";
}

template <class T>
[[gnu::noinline]] void refuses_counts() {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t count :
       {most, most / 2 + 1, most / sizeof(int) + 1, most / 16 + 2, std::uint64_t{1} << 32}) {
    refuses_count<T>(count, 0);
    refuses_count<T>(count, 64);
  }
  refuses_count<T>(1, 0);
}

TEST(HostileCount, IsRefusedBeforeAnythingIsAllocated) {
  refuses_counts<std::string>();
  refuses_counts<std::u32string>();
  refuses_counts<std::vector<char>>();
  refuses_counts<std::vector<int>>();
  refuses_counts<std::vector<large>>();
  refuses_counts<std::vector<bool>>();
  refuses_counts<std::vector<std::string>>();
  refuses_counts<std::vector<std::pair<int, int>>>();
  refuses_counts<std::vector<says_nothing>>();
  refuses_counts<std::vector<std::tuple<>>>();
  refuses_counts<std::deque<int>>();
  refuses_counts<std::list<int>>();
  refuses_counts<std::set<int>>();
  refuses_counts<std::map<int, int>>();
  refuses_counts<std::unordered_set<int>>();
  refuses_counts<std::unordered_map<int, std::string>>();
  refuses_counts<std::filesystem::path>();
}

TEST(HostileCount, OneByteMoreThanThereIs) {
  refuses_count<std::vector<int>>(17, 16 * sizeof(int));
  refuses_count<std::string>(17, 16);
}

TEST(HostileCount, ElementsAreNotPaidForInAdvance) {
  // An absent `large` is one byte: a thousand times less than its place in the vector.
  bytes all = encoded(std::uint64_t{1'000'000});
  all.resize(all.size() + 1'000'000, std::byte{2});  // neither absent nor present
  const std::size_t before = allocated;
  EXPECT_THROW((void)decoded<std::vector<std::vector<holds_large>>>(all), serialization_error);
  EXPECT_LT(allocated - before, 20'000'000U);
}

TEST(Hostile, AVariantWithoutThatAlternative) {
  using v = std::variant<int, std::string>;
  for (const std::int32_t index : {2, -1, std::numeric_limits<std::int32_t>::min(), 1 << 30}) {
    bytes all = encoded(index);
    all.resize(100);
    EXPECT_THROW((void)decoded<v>(all), serialization_error) << index;
  }
}

TEST(Hostile, ABoolIsNeverAnythingBetween) {
  for (int n = 0; n < 256; ++n) {
    const std::byte byte{static_cast<unsigned char>(n)};
    const bool b = decoded<bool>({&byte, 1});
    EXPECT_EQ(encoded(b).front(), std::byte{n != 0}) << n;
  }
}

TEST(Hostile, AnUnknownErrorCategory) {
  for (int n = 4; n < 256; ++n) {
    bytes all{std::byte(n)};
    all.resize(5);
    EXPECT_THROW((void)decoded<std::error_code>(all), serialization_error) << n;
  }
}

TEST(Nesting, WithoutEndIsRefusedBeforeTheStackEnds) {
  bytes one_child;
  for (int i = 0; i < 1'000'000; ++i) {
    const bytes one = encoded(std::uint64_t{1});
    one_child.insert(one_child.end(), one.begin(), one.end());
  }
  EXPECT_THROW((void)decoded<tree>(one_child), serialization_error);
  EXPECT_THROW((void)decoded<chain>(bytes(10'000'000, std::byte{1})), serialization_error);
  EXPECT_THROW((void)decoded<std::exception_ptr>(bytes(10'000'000, std::byte{1})), serialization_error);
}

TEST(Nesting, ThatIsTooDeepIsRefusedByTheWriterToo) {
  chain first;
  chain* last = &first;
  for (int i = 0; i < 100'000; ++i) {
    last->next = std::make_unique<chain>();
    last = last->next.get();
  }
  EXPECT_THROW((void)encoded(first), serialization_error);
  // or its destructor would need the stack that the encoder was spared
  while (first.next) first.next = std::move(first.next->next);
}

TEST(Nesting, AsDeepAsProgramsNestIsFine) {
  chain first;
  chain* last = &first;
  for (int i = 0; i < 200; ++i) {
    last->next = std::make_unique<chain>();
    last = last->next.get();
  }
  const bytes all = encoded(first);
  const chain back = decoded<chain>(all);
  int length = 0;
  for (const chain* each = &back; each->next; each = each->next.get()) ++length;
  EXPECT_EQ(length, 200);
}

struct holder : std::exception {
  std::exception_ptr inner;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(inner);
  }
};
const bool holder_is_known = (register_exception<holder>(), true);

TEST(Nesting, ExceptionsInTheFormsOfOthersEndBeforeTheStackDoes) {
  ASSERT_TRUE(holder_is_known);
  std::exception_ptr e;
  for (int i = 0; i < 100; ++i) {
    holder outer;
    outer.inner = e;
    e = std::make_exception_ptr(outer);
  }
  detail::vector_writer to;
  detail::write_exception(to, e);
  const auto written = to.take();
  detail::wire_reader from(written.data(), written.size());
  EXPECT_THROW((void)detail::read_exception(from), serialization_error);
}

}  // namespace
}  // namespace remuda
