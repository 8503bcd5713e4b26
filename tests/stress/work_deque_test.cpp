// One owner and more thieves than cores: every item is taken exactly once, and its content is seen.
#include "runtime/lockfree/work_deque.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <thread>
#include <vector>

#include "remuda/detail/sync.hpp"
#include "tests/support/stress.hpp"

namespace {

using remuda::detail::atomic;
using remuda::detail::std_sync;
using remuda::detail::steal_outcome;
using remuda::detail::work_deque;

constexpr std::size_t item_count = remuda::test::scaled(1'000'000);
constexpr unsigned thief_count = 8;

struct item {
  std::size_t number = 0;  // plain: written before the push, read by the taker
  int times_taken = 0;     // plain: a second taker is a data race for ThreadSanitizer
};

/// Gives the core away now and then, at places that differ from thread to thread, so that others run in between.
class disturbance {
 public:
  explicit disturbance(unsigned seed) : random_(seed) {}

  void maybe_yield() {
    if (random_() % 16 == 0) std::this_thread::yield();
  }
  std::size_t below(std::size_t limit) { return random_() % limit; }

 private:
  std::minstd_rand random_;
};

/// The owner pushes up to `longest_burst` items, then pops up to as many.
void each_item_is_taken_once(std::size_t longest_burst) {
  std::vector<item> items(item_count);
  work_deque<std_sync, item> deque(2);
  atomic<bool> all_pushed{false};
  atomic<std::size_t> wrong{0};

  const auto take = [&](item* taken) {
    ++taken->times_taken;
    if (taken != &items[taken->number]) wrong.fetch_add(1, std_sync::relaxed);
  };
  const auto steal_all = [&](unsigned id) {
    disturbance chance(id);
    for (;;) {
      const bool last_round = all_pushed.load(std_sync::acquire);
      const auto result = deque.steal();
      if (result.outcome == steal_outcome::stolen) take(result.item);
      if (result.outcome == steal_outcome::empty) {
        if (last_round) return;
        std::this_thread::yield();
      }
      chance.maybe_yield();
    }
  };

  std::vector<std::thread> thieves;
  for (unsigned id = 1; id <= thief_count; ++id) thieves.emplace_back(steal_all, id);

  disturbance chance(0);
  for (std::size_t pushed = 0; pushed < items.size();) {
    for (std::size_t burst = chance.below(longest_burst) + 1; burst > 0 && pushed < items.size(); --burst, ++pushed) {
      items[pushed].number = pushed;
      deque.push(&items[pushed]);
    }
    chance.maybe_yield();
    for (std::size_t burst = chance.below(longest_burst) + 1; burst > 0; --burst) {
      if (item* const popped = deque.pop()) take(popped);
    }
  }
  all_pushed.store(true, std_sync::release);
  while (item* const popped = deque.pop()) take(popped);
  for (std::thread& thief : thieves) thief.join();

  EXPECT_EQ(wrong.load(std_sync::relaxed), 0u);
  EXPECT_EQ(deque.pop(), nullptr);
  std::size_t not_once = 0;
  for (const item& i : items) not_once += i.times_taken != 1;
  EXPECT_EQ(not_once, 0u);
}

TEST(WorkDequeStress, FightForTheLastItem) { each_item_is_taken_once(1); }

TEST(WorkDequeStress, ShortBursts) { each_item_is_taken_once(8); }

TEST(WorkDequeStress, LongBurstsThatGrowTheRing) { each_item_is_taken_once(4096); }

}  // namespace
