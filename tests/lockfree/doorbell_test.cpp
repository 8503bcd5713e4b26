// The doorbell when nobody interferes. That no wake-up is lost: tests/model and tests/stress/call_ring_test.cpp.
#include "runtime/lockfree/doorbell.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <type_traits>

#include "remuda/detail/sync.hpp"

namespace {

using remuda::detail::std_sync;
using bell_type = remuda::detail::doorbell<std_sync>;

TEST(Doorbell, IsAWordOfZeroes) {
  static_assert(sizeof(bell_type) == sizeof(std::uint32_t) && alignof(bell_type) == alignof(std::uint32_t));
  static_assert(std::is_standard_layout_v<bell_type> && std::is_trivially_destructible_v<bell_type>);
  alignas(bell_type) unsigned char memory[sizeof(bell_type)] = {};
  bell_type& bell = *::new (memory) bell_type;
  EXPECT_EQ(bell.address(), static_cast<const void*>(memory));
  for (const unsigned char byte : memory) EXPECT_EQ(byte, 0);
  EXPECT_EQ(bell.ring(), 0u);
}

TEST(Doorbell, ARingerGetsEachAnnouncementOnce) {
  bell_type bell;
  bell.announce(1);
  EXPECT_EQ(bell.ring(), 1u);
  EXPECT_EQ(bell.ring(), 0u);
  bell.announce(1);
  EXPECT_EQ(bell.ring(), 1u);
}

TEST(Doorbell, ARingerGetsTheBitsOfAllSleepers) {
  bell_type bell;
  EXPECT_EQ(bell.announce(1), 1u);
  EXPECT_EQ(bell.announce(4), 5u);
  EXPECT_EQ(bell.announce(1), 5u);
  EXPECT_EQ(bell.ring(), 5u);
}

TEST(Doorbell, AnAnnouncementReturnsTheWordToSleepOn) {
  bell_type bell;
  const auto now = [&] {
    return static_cast<const std_sync::atomic<std::uint32_t>*>(bell.address())->load(std_sync::relaxed);
  };
  const std::uint32_t first = bell.announce(2);
  EXPECT_EQ(now(), first);
  const std::uint32_t second = bell.announce(1);
  EXPECT_EQ(now(), second);
  EXPECT_NE(second, first);  // the first sleeper, if it is not asleep yet, looks again
  bell.ring();
  EXPECT_NE(now(), second);
}

TEST(Doorbell, WhoWithdrawsIsNotWokenButOthersAre) {
  bell_type bell;
  bell.announce(1);
  bell.announce(2);
  bell.withdraw(1);
  EXPECT_EQ(bell.ring(), 2u);
  bell.announce(1);
  bell.withdraw(1);
  EXPECT_EQ(bell.ring(), 0u);
  bell.withdraw(1);  // after a ringer had it
  EXPECT_EQ(bell.ring(), 0u);
}

}  // namespace
