// The deque as its owner sees it, and as a thief does when nobody interferes. Races: tests/stress and tests/model.
#include "runtime/lockfree/work_deque.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <new>
#include <numeric>

#include "remuda/detail/sync.hpp"

namespace {

using remuda::detail::std_sync;
using remuda::detail::steal_outcome;
using remuda::detail::work_deque;

using deque_of_ints = work_deque<std_sync, int>;

template <std::size_t Count>
std::array<int, Count> numbers() {
  std::array<int, Count> all;
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(WorkDeque, StartsEmpty) {
  deque_of_ints deque(4);
  EXPECT_EQ(deque.pop(), nullptr);
  EXPECT_EQ(deque.steal().outcome, steal_outcome::empty);
  EXPECT_EQ(deque.steal().item, nullptr);
  EXPECT_FALSE(deque.maybe_nonempty());
  EXPECT_EQ(deque.size_approx(), 0u);
}

TEST(WorkDeque, OwnerPopsTheNewest) {
  auto items = numbers<3>();
  deque_of_ints deque(4);
  for (int& item : items) deque.push(&item);
  EXPECT_EQ(deque.pop(), &items[2]);
  EXPECT_EQ(deque.pop(), &items[1]);
  EXPECT_EQ(deque.pop(), &items[0]);
  EXPECT_EQ(deque.pop(), nullptr);
}

TEST(WorkDeque, ThiefStealsTheOldest) {
  auto items = numbers<3>();
  deque_of_ints deque(4);
  for (int& item : items) deque.push(&item);
  for (int& item : items) {
    const auto result = deque.steal();
    EXPECT_EQ(result.outcome, steal_outcome::stolen);
    EXPECT_EQ(result.item, &item);
  }
  EXPECT_EQ(deque.steal().outcome, steal_outcome::empty);
  EXPECT_EQ(deque.pop(), nullptr);
}

TEST(WorkDeque, SizeAndNonEmptinessFollowThePushesAndTakes) {
  auto items = numbers<2>();
  deque_of_ints deque(2);
  deque.push(&items[0]);
  deque.push(&items[1]);
  EXPECT_EQ(deque.size_approx(), 2u);
  EXPECT_TRUE(deque.maybe_nonempty());
  deque.steal();
  EXPECT_EQ(deque.size_approx(), 1u);
  EXPECT_TRUE(deque.maybe_nonempty());
  deque.pop();
  EXPECT_EQ(deque.size_approx(), 0u);
  EXPECT_FALSE(deque.maybe_nonempty());
}

TEST(WorkDeque, IsUsableAgainAfterEachWayOfGettingEmpty) {
  auto items = numbers<2>();
  deque_of_ints deque(1);
  for (int round = 0; round < 10; ++round) {
    deque.push(&items[0]);
    EXPECT_EQ(deque.pop(), &items[0]);
    EXPECT_EQ(deque.pop(), nullptr);
    deque.push(&items[1]);
    EXPECT_EQ(deque.steal().item, &items[1]);
    EXPECT_EQ(deque.pop(), nullptr);
  }
}

TEST(WorkDeque, GrowsFromOneAndKeepsItsOrder) {
  auto items = numbers<100>();
  deque_of_ints deque(1);
  for (int& item : items) deque.push(&item);
  EXPECT_EQ(deque.size_approx(), items.size());
  for (std::size_t i = 0; i < items.size() / 2; ++i) EXPECT_EQ(deque.steal().item, &items[i]);
  for (std::size_t i = items.size(); i-- > items.size() / 2;) EXPECT_EQ(deque.pop(), &items[i]);
  EXPECT_EQ(deque.pop(), nullptr);
}

TEST(WorkDeque, ARingGoesRoundWithoutGrowing) {
  auto items = numbers<5>();
  deque_of_ints deque(4);
  // Three stay in the deque while the indices pass the capacity many times.
  for (std::size_t i = 0; i < 3; ++i) deque.push(&items[i]);
  for (std::size_t i = 3; i < 100; ++i) {
    deque.push(&items[i % items.size()]);
    EXPECT_EQ(deque.steal().item, &items[(i - 3) % items.size()]);
  }
  EXPECT_EQ(deque.size_approx(), 3u);
}

bool out_of_memory = false;

/// Atomics whose construction fails like an allocation does, so that growing a ring can be made to throw.
struct scarce_sync : std_sync {
  template <class U>
  struct atomic : std_sync::atomic<U> {
    atomic() {
      if (out_of_memory) throw std::bad_alloc();
    }
    using std_sync::atomic<U>::atomic;
  };
};

TEST(WorkDeque, APushThatCannotGrowLeavesTheDequeUnchanged) {
  auto items = numbers<5>();
  work_deque<scarce_sync, int> deque(4);
  for (std::size_t i = 0; i < 4; ++i) deque.push(&items[i]);
  out_of_memory = true;
  EXPECT_THROW(deque.push(&items[4]), std::bad_alloc);
  EXPECT_THROW(deque.push(&items[4]), std::bad_alloc);
  EXPECT_EQ(deque.size_approx(), 4u);
  EXPECT_EQ(deque.steal().item, &items[0]);
  deque.push(&items[4]);  // there is room now, without memory
  out_of_memory = false;
  for (std::size_t i = 5; i-- > 1;) EXPECT_EQ(deque.pop(), &items[i]);
  EXPECT_EQ(deque.pop(), nullptr);
}

TEST(WorkDeque, OwnerAndThievesWriteDifferentCacheLines) {
  // One line for the owner, one for top, one for what only growth touches.
  EXPECT_EQ(sizeof(deque_of_ints), 3 * remuda::cache_line);
  EXPECT_EQ(alignof(deque_of_ints), remuda::cache_line);
}

}  // namespace
