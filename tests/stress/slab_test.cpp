// Blocks wander between threads that come and go: no block is ever handed out twice, and none loses its content.
#include "runtime/lockfree/slab.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "remuda/detail/allocate.hpp"
#include "remuda/detail/sync.hpp"
#include "remuda/topology.hpp"
#include "tests/support/stress.hpp"

namespace {

using remuda::detail::allocate;
using remuda::detail::atomic;
using remuda::detail::deallocate;
using remuda::detail::flush_remote_frees;
using remuda::detail::std_sync;

/// What a test writes into a block: its size, and the same byte to its end.
struct message {
  std::size_t bytes;
  unsigned char fill;

  static message* make(std::size_t bytes, unsigned char fill) {
    auto* const m = ::new (allocate(bytes)) message{bytes, fill};
    std::memset(m->rest(), fill, bytes - sizeof(message));
    return m;
  }

  /// Returns whether the content was whole.
  static bool use_up(message* m) {
    bool whole = true;
    for (std::size_t i = 0; i < m->bytes - sizeof(message); ++i) whole = whole && m->rest()[i] == m->fill;
    deallocate(m, m->bytes);
    return whole;
  }

  unsigned char* rest() { return reinterpret_cast<unsigned char*>(this + 1); }
};

/// Where threads leave messages for whoever comes next.
using exchange_place = std::array<atomic<message*>, 256>;

std::size_t use_blocks(exchange_place& place, unsigned seed, int count) {
  std::minstd_rand random(seed);
  std::size_t broken = 0;
  for (int i = 0; i < count; ++i) {
    // Now and then one for the heap.
    const std::size_t bytes = sizeof(message) + random() % (remuda::detail::largest_block + 64);
    message* const mine = message::make(bytes, static_cast<unsigned char>(random()));
    message* const found = place[random() % place.size()].exchange(mine, std_sync::acq_rel);
    if (found != nullptr) broken += !message::use_up(found);
    if (random() % 64 == 0) std::this_thread::yield();
    if (random() % 256 == 0) flush_remote_frees();
  }
  return broken;
}

void empty(exchange_place& place) {
  for (auto& slot : place) {
    message* const left = slot.exchange(nullptr, std_sync::acq_rel);
    EXPECT_TRUE(left == nullptr || message::use_up(left));
  }
}

TEST(SlabStress, BlocksFreedByAnyThreadStayWhole) {
  constexpr unsigned thread_count = 8;
  exchange_place place{};
  atomic<std::size_t> broken{0};
  std::vector<std::thread> threads;
  for (unsigned id = 1; id <= thread_count; ++id) {
    threads.emplace_back(
        [&, id] { broken.fetch_add(use_blocks(place, id, remuda::test::scaled(100'000)), std_sync::relaxed); });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(broken.load(std_sync::relaxed), 0u);
  empty(place);
}

TEST(SlabStress, ThreadsThatComeAndGoPassTheirHeapsOn) {
  constexpr unsigned starter_count = 4;
  exchange_place place{};
  atomic<std::size_t> broken{0};
  const auto use_some = [&](unsigned seed) { broken.fetch_add(use_blocks(place, seed, 300), std_sync::relaxed); };
  const auto lives = static_cast<unsigned>(remuda::test::scaled(1000));
  const auto start_many = [&](unsigned id) {
    for (unsigned life = 0; life < lives; ++life) std::thread(use_some, id * lives + life + 1).join();
  };
  const std::size_t heaps = remuda::detail::totals_of_slab().heaps;
  std::vector<std::thread> starters;
  for (unsigned id = 0; id < starter_count; ++id) starters.emplace_back(start_many, id);
  for (std::thread& t : starters) t.join();
  EXPECT_EQ(broken.load(std_sync::relaxed), 0u);
  // starter_count on each node, give or take claims that cross; not one for each thread.
  const std::size_t nodes = remuda::detect_topology().numa_nodes.size();
  EXPECT_LE(remuda::detail::totals_of_slab().heaps - heaps,
            std::max<std::size_t>(nodes, 1) * starter_count * lives / 10);
  empty(place);
}

}  // namespace
