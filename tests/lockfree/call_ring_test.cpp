// The ring as its users see it when nobody interferes, and what it says to words that no honest worker writes. Races:
// tests/stress and tests/model.
#include "runtime/lockfree/call_ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"

namespace {

using remuda::detail::call_look;
using remuda::detail::call_ring_caller;
using remuda::detail::call_ring_server;
using remuda::detail::slot_state;
using remuda::detail::std_sync;

struct slot {
  std_sync::atomic<std::uint32_t> word{0};
  int body = 0;
};

constexpr int skipped = -1;

/// Both sides of a ring, in one process.
template <std::uint32_t Capacity>
struct both_sides {
  explicit both_sides(std::uint64_t first = 0)
      : caller(slots.data(), Capacity, first), server(slots.data(), Capacity, first) {}

  std::uint64_t send(int argument) {
    caller.next().body = argument;
    return caller.publish();
  }
  slot* take() {
    return server.take([](slot& s) { s.body = skipped; });
  }
  /// Serves one call with its argument's double.
  bool serve() {
    slot* const taken = take();
    if (taken == nullptr) return false;
    taken->body *= 2;
    server.finish();
    return true;
  }
  int receive() {
    EXPECT_EQ(caller.look(), call_look::done);
    const int result = caller.front().body;
    caller.release();
    return result;
  }

  std::array<slot, Capacity> slots;
  call_ring_caller<std_sync, slot> caller;
  call_ring_server<std_sync, slot> server;
};

constexpr std::uint32_t word_of(std::uint64_t lap, unsigned state) {
  return static_cast<std::uint32_t>(lap << 3) | state;
}
constexpr std::uint32_t word_of(std::uint64_t lap, slot_state state) {
  return word_of(lap, static_cast<unsigned>(state));
}

TEST(CallRing, StartsEmpty) {
  both_sides<4> ring;
  EXPECT_FALSE(ring.caller.full());
  EXPECT_EQ(ring.caller.capacity(), 4u);
  EXPECT_EQ(ring.caller.head(), 0u);
  EXPECT_EQ(ring.caller.tail(), 0u);
  EXPECT_EQ(ring.server.position(), 0u);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
  EXPECT_EQ(ring.caller.state_at(0), slot_state::free);
  EXPECT_EQ(ring.take(), nullptr);
}

TEST(CallRing, AResultComesBackWhereTheCallWas) {
  both_sides<4> ring;
  slot* const where = &ring.caller.next();
  EXPECT_EQ(ring.send(21), 0u);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
  EXPECT_EQ(ring.take(), where);
  EXPECT_EQ(where->body, 21);
  EXPECT_EQ(ring.server.position(), 0u);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
  where->body = 42;
  ring.server.finish();
  EXPECT_EQ(ring.server.position(), 1u);
  EXPECT_EQ(ring.caller.look(), call_look::done);
  EXPECT_EQ(ring.caller.tail(), 0u);
  EXPECT_EQ(&ring.caller.front(), where);
  ring.caller.release();
  EXPECT_EQ(ring.caller.tail(), 1u);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
}

TEST(CallRing, IsFullUntilTheOldestResultIsReceived) {
  both_sides<2> ring;
  EXPECT_EQ(ring.send(1), 0u);
  EXPECT_FALSE(ring.caller.full());
  EXPECT_EQ(ring.send(2), 1u);
  EXPECT_TRUE(ring.caller.full());
  EXPECT_TRUE(ring.serve());
  EXPECT_TRUE(ring.serve());
  EXPECT_FALSE(ring.serve());
  EXPECT_TRUE(ring.caller.full());
  EXPECT_EQ(ring.receive(), 2);
  EXPECT_FALSE(ring.caller.full());
  EXPECT_EQ(ring.send(3), 2u);
  EXPECT_TRUE(ring.caller.full());
  EXPECT_EQ(ring.receive(), 4);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
}

/// Keeps the ring as full as it gets while its positions go on for `calls`.
template <std::uint32_t Capacity>
void goes_round(std::uint64_t first, int calls) {
  both_sides<Capacity> ring(first);
  int sent = 0;
  for (int received = 0; received < calls; ++received) {
    while (!ring.caller.full()) {
      EXPECT_EQ(ring.send(sent), first + static_cast<std::uint64_t>(sent));
      ++sent;
    }
    EXPECT_EQ(ring.caller.head() - ring.caller.tail(), Capacity);
    ASSERT_TRUE(ring.serve());
    ASSERT_EQ(ring.receive(), 2 * received);
    ASSERT_EQ(ring.caller.look(), call_look::nothing);
  }
}

TEST(CallRing, GoesRoundManyTimes) {
  goes_round<1>(0, 100);
  goes_round<2>(0, 100);
  goes_round<8>(0, 100);
}

TEST(CallRing, TheLapGoesRoundToo) {
  constexpr std::uint64_t laps = std::uint64_t{1} << 29;
  goes_round<1>(laps - 10, 100);
  goes_round<4>(laps * 4 - 6, 100);
  goes_round<4>(laps * 4 * 1000 - 1, 100);
}

TEST(CallRing, AWithdrawnCallIsNotRunButAnswered) {
  both_sides<4> ring;
  ring.send(1);
  EXPECT_TRUE(ring.caller.withdraw(0));
  EXPECT_EQ(ring.caller.look(), call_look::nothing);  // the slot is the server's until it has answered
  EXPECT_EQ(ring.take(), nullptr);
  EXPECT_EQ(ring.server.position(), 1u);
  EXPECT_EQ(ring.receive(), skipped);
}

TEST(CallRing, TheServerFindsTheCallBehindWithdrawnOnes) {
  both_sides<4> ring;
  for (int call = 0; call < 4; ++call) ring.send(call);
  for (const std::uint64_t call : {0, 1, 3}) EXPECT_TRUE(ring.caller.withdraw(call));
  slot* const taken = ring.take();
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(ring.server.position(), 2u);
  EXPECT_EQ(taken->body, 2);
  EXPECT_EQ(ring.receive(), skipped);  // already, while the third one runs
  EXPECT_EQ(ring.receive(), skipped);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
  ring.server.finish();
  EXPECT_EQ(ring.receive(), 2);
  EXPECT_EQ(ring.take(), nullptr);
  EXPECT_EQ(ring.receive(), skipped);
}

TEST(CallRing, OnlyACallThatIsSentAndNotBegunCanBeWithdrawn) {
  both_sides<2> ring;
  EXPECT_FALSE(ring.caller.withdraw(0));  // not sent
  ring.send(1);
  ring.send(2);
  EXPECT_TRUE(ring.caller.withdraw(1));
  EXPECT_FALSE(ring.caller.withdraw(1));  // twice
  ASSERT_NE(ring.take(), nullptr);
  EXPECT_FALSE(ring.caller.withdraw(0));  // begun
  ring.server.finish();
  EXPECT_FALSE(ring.caller.withdraw(0));  // done
  ring.receive();
  EXPECT_FALSE(ring.caller.withdraw(0));  // received
  EXPECT_EQ(ring.take(), nullptr);
  EXPECT_FALSE(ring.caller.withdraw(1));  // answered
  ring.send(3);
  EXPECT_FALSE(ring.caller.withdraw(0));  // the slot's new call is another one
  EXPECT_TRUE(ring.serve());
}

TEST(CallRing, StateAtFollowsACall) {
  both_sides<2> ring;
  const auto& watched = ring.caller;
  EXPECT_EQ(watched.state_at(0), slot_state::free);
  ring.send(1);
  ring.send(2);
  EXPECT_EQ(watched.state_at(0), slot_state::ready);
  EXPECT_EQ(watched.state_at(2), slot_state::free);
  ring.take();
  EXPECT_EQ(watched.state_at(0), slot_state::taken);
  ring.server.finish();
  EXPECT_EQ(watched.state_at(0), slot_state::done);
  ring.receive();
  EXPECT_EQ(watched.state_at(0), slot_state::free);
  ring.caller.withdraw(1);
  EXPECT_EQ(watched.state_at(1), slot_state::withdrawn);
  ring.send(3);
  EXPECT_EQ(watched.state_at(0), slot_state::free);  // received long ago, though its slot is in use
  EXPECT_EQ(watched.state_at(2), slot_state::ready);
  ring.take();
  EXPECT_EQ(watched.state_at(1), slot_state::done);
}

TEST(CallRing, AWorkerThatDiedLeavesWhatItHadBegun) {
  both_sides<4> ring;
  for (int call = 0; call < 4; ++call) ring.send(call);
  EXPECT_TRUE(ring.serve());
  ring.caller.withdraw(2);
  ASSERT_NE(ring.take(), nullptr);  // and never finishes
  EXPECT_EQ(ring.receive(), 0);
  EXPECT_EQ(ring.caller.look(), call_look::nothing);
  EXPECT_EQ(ring.caller.state_at(1), slot_state::taken);
  EXPECT_EQ(ring.caller.state_at(2), slot_state::withdrawn);
  EXPECT_EQ(ring.caller.state_at(3), slot_state::ready);
}

TEST(CallRing, AReplacementBeginsAnew) {
  both_sides<2> ring;
  for (int call = 0; call < 2; ++call) ring.send(call);
  ring.serve();
  for (const std::uint64_t first : {0, 2, 1001}) {
    std::array<slot, 2> fresh;
    ring.caller.reset(fresh.data(), first);
    call_ring_server<std_sync, slot> replacement(fresh.data(), 2, first);
    EXPECT_EQ(ring.caller.head(), first);
    EXPECT_EQ(ring.caller.tail(), first);
    EXPECT_FALSE(ring.caller.full());
    EXPECT_EQ(ring.caller.look(), call_look::nothing);
    for (std::uint64_t call = first; call < first + 7; ++call) {
      EXPECT_EQ(ring.send(5), call);
      EXPECT_EQ(ring.caller.state_at(call), slot_state::ready);
      slot* const taken = replacement.take();
      ASSERT_EQ(taken, &fresh[call % 2]);
      replacement.finish();
      EXPECT_EQ(ring.receive(), 5);
    }
    EXPECT_EQ(ring.slots[0].word.load(std_sync::relaxed), word_of(0, slot_state::done));  // the old ones are left alone
  }
}

/// What a look must say to `word` at a position of `lap` whose slot had `before` in it.
call_look verdict(std::uint32_t word, std::uint64_t lap, std::uint32_t before, bool sent) {
  if (word == before) return call_look::nothing;
  if (word == word_of(lap, slot_state::done)) return sent ? call_look::done : call_look::corrupt;
  for (const auto state : {slot_state::ready, slot_state::taken, slot_state::withdrawn}) {
    if (word == word_of(lap, state)) return call_look::nothing;
  }
  return call_look::corrupt;
}

/// Puts every kind of word into the slot of position 2 * lap + 1 and looks at it.
void judges_every_word(std::uint64_t lap, bool sent) {
  SCOPED_TRACE("lap " + std::to_string(lap) + (sent ? ", sent" : ", not sent"));
  both_sides<2> ring;
  while (ring.caller.tail() != 2 * lap + 1) {
    ring.send(1);
    ring.serve();
    ring.receive();
  }
  const std::uint32_t before = lap == 0 ? 0 : word_of(lap - 1, slot_state::done);
  if (sent) ring.send(1);
  auto& word = ring.slots[1].word;
  const auto expect_verdict = [&](std::uint32_t value) {
    word.store(value, std_sync::relaxed);
    const call_look expected = verdict(value, lap, before, sent);
    ASSERT_EQ(ring.caller.look(), expected) << "word " << value;
    const bool corrupt = ring.caller.state_at(2 * lap + 1) == slot_state::corrupt;
    ASSERT_EQ(corrupt, sent && expected == call_look::corrupt) << "word " << value;
  };
  for (std::uint32_t value = 0; value < 64; ++value) expect_verdict(value);
  for (unsigned state = 0; state < 8; ++state) {
    for (const std::uint64_t other : {lap - 1, lap + 1, lap + (1U << 28), lap + (1U << 16)}) {
      expect_verdict(word_of(other, state));
    }
  }
  for (unsigned bit = 0; bit < 32; ++bit) expect_verdict(word_of(lap, slot_state::done) ^ (1U << bit));
  expect_verdict(~0U);
  EXPECT_EQ(ring.caller.tail(), 2 * lap + 1);
}

TEST(CallRing, ReportsWordsThatNoWorkerMayWrite) {
  for (const std::uint64_t lap : {0, 1, 3}) {
    judges_every_word(lap, true);
    judges_every_word(lap, false);
  }
}

TEST(CallRing, AnAnswerWithoutACallIsNotReceived) {
  both_sides<2> ring;
  ring.send(1);
  ring.serve();
  ring.receive();
  ring.slots[1].word.store(word_of(0, slot_state::done), std_sync::relaxed);
  EXPECT_EQ(ring.caller.look(), call_look::corrupt);
  EXPECT_EQ(ring.caller.state_at(1), slot_state::free);
}

/// Counts the loads of words.
struct counting_sync : std_sync {
  template <class U>
  struct atomic : std_sync::atomic<U> {
    using std_sync::atomic<U>::atomic;
    U load(std_sync::memory_order order) const {
      if constexpr (sizeof(U) == sizeof(std::uint32_t)) ++loads;
      return std_sync::atomic<U>::load(order);
    }
    static inline int loads = 0;
  };
};

TEST(CallRing, AWordIsReadOnceALook) {
  struct counted_slot {
    counting_sync::atomic<std::uint32_t> word{0};
  };
  std::array<counted_slot, 2> slots;
  call_ring_caller<counting_sync, counted_slot> caller(slots.data(), 2);
  int& loads = counting_sync::atomic<std::uint32_t>::loads;
  caller.publish();
  for (const auto state : {slot_state::ready, slot_state::taken, slot_state::withdrawn, slot_state::done}) {
    slots[0].word.store(word_of(0, state), std_sync::relaxed);
    loads = 0;
    caller.look();
    EXPECT_EQ(loads, 1);
    caller.state_at(0);
    EXPECT_EQ(loads, 2);
  }
  caller.release();
  EXPECT_EQ(loads, 2);
}

TEST(CallRing, SenderAndReceiverWriteDifferentCacheLines) {
  // One line for what only reset() changes, one for the sender, one for the receiver.
  using caller = call_ring_caller<std_sync, slot>;
  static_assert(sizeof(caller) == 3 * remuda::cache_line);
  static_assert(alignof(caller) == remuda::cache_line);
  static_assert(std_sync::atomic<std::uint32_t>::is_always_lock_free);  // it is shared between processes
  static_assert(std_sync::atomic<std::uint64_t>::is_always_lock_free);
}

}  // namespace
