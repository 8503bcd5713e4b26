#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/support/wire.hpp"

namespace remuda {
namespace {

// A place of fixed size, as shared memory is.
class bounded_writer final : public detail::wire_writer {
 public:
  bounded_writer(std::byte* begin, std::size_t n) : wire_writer(begin, begin + n) {}

 private:
  void make_room(std::size_t) override { throw serialization_error("full"); }
};

TEST(Writer, WritesInPlace) {
  std::array<std::byte, 8> place{};
  bounded_writer to(place.data(), place.size());
  detail::wire_write(to, 0x01020304);
  EXPECT_EQ(to.size(), 4U);
  detail::wire_reader from(place.data(), 4);
  EXPECT_EQ(detail::wire_read<int>(from), 0x01020304);
}

TEST(Writer, FullIsAnErrorAndNothingIsWrittenPastTheEnd) {
  std::array<std::byte, 16> place{};
  bounded_writer to(place.data(), 8);
  EXPECT_THROW(detail::wire_write(to, std::string("more than fits")), serialization_error);
  EXPECT_LE(to.size(), 8U);
  for (std::size_t i = 8; i < place.size(); ++i) EXPECT_EQ(place[i], std::byte{}) << i;
}

TEST(Writer, ExactlyFullIsNone) {
  std::array<std::byte, 8> place{};
  bounded_writer to(place.data(), place.size());
  detail::wire_write(to, 1.0);
  EXPECT_EQ(to.size(), 8U);
  EXPECT_THROW(detail::wire_write(to, 'x'), serialization_error);
}

TEST(VectorWriter, GrowsAndKeepsWhatWasWritten) {
  detail::vector_writer to;
  for (int i = 0; i < 10'000; ++i) to.write(&i, sizeof i);
  const test::bytes all = to.take();
  ASSERT_EQ(all.size(), 10'000 * sizeof(int));
  detail::wire_reader from(all.data(), all.size());
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(detail::wire_read<int>(from), i);
}

TEST(VectorWriter, IsEmptyAfterTake) {
  detail::vector_writer to;
  detail::wire_write(to, 1);
  EXPECT_EQ(to.take().size(), 4U);
  EXPECT_EQ(to.size(), 0U);
  EXPECT_TRUE(to.take().empty());
  detail::wire_write(to, 'c');
  EXPECT_EQ(to.take().size(), 1U);
}

TEST(Reader, TakesNothingWhereTooLittleIsLeft) {
  const std::array<std::byte, 3> three{};
  detail::wire_reader from(three.data(), three.size());
  EXPECT_THROW((void)detail::wire_read<int>(from), serialization_error);
  EXPECT_EQ(from.left(), 3U);
  EXPECT_EQ(detail::wire_read<char>(from), 0);
  EXPECT_EQ(from.left(), 2U);
}

TEST(Reader, NothingCanBeReadFromNowhere) {
  detail::wire_reader from(nullptr, 0);
  from.read(nullptr, 0);
  EXPECT_THROW((void)detail::wire_read<char>(from), serialization_error);
}

}  // namespace
}  // namespace remuda
