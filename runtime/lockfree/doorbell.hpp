// A word in shared memory by which one side says that it sleeps, so that the other wakes it only then.
//
// Protocol
//   sleeper   announces its bit, executes a fence [A], looks once more at what it waits for; nothing: sleeps on the
//   word
//             while it is what announce() returned. Something: withdraws. After it woke it announces itself anew.
//   ringer    publishes, executes a fence [R], loads the word; not zero: exchanges it for zero and wakes those whose
//   bits
//             it got
//
// Why no wake-up is lost. The fences have an order. If [A] is first, the ringer's load sees the announcement. If [R] is
// first, the sleeper's look sees the publication. An exchange between announcement and sleep changes the word, and the
// sleep does not begin; the sleeper then announces itself after that exchange, so that its fence comes after [R] and
// its look sees the publication. So the rest of the operations may be relaxed: what a look finds is ordered by the
// structure that was looked at.
//
// Why fences and not seq_cst operations on what is published: the publication stays an ordinary store, whatever it is
// (a call, a result, a flag), of which any number share one fence, and the sleeper's look any load; on x86-64 a fence
// costs the one locked instruction that a seq_cst store would be. They order two structures, ring and word, which is
// what full_fence() is for (sync.hpp).
//
// Rules
// - A bit has one sleeper at a time. Then the word cannot come back to what announce() returned while that one has not
//   announced itself again, so a sleep that begins late does not miss the exchange.
// - The ringer wakes everybody who sleeps on the word, if several do: those who find the word unlike theirs go round.
// - Zero: nobody sleeps. A worker that writes anything here costs the parent a needless wake-up, or is not woken
// itself.
#pragma once

#include <cstdint>

namespace remuda::detail {

/// The fences of doorbell, so that a model can leave them out.
template <class Sync>
struct doorbell_orders {
  static void after_announce() { Sync::full_fence(); }  // [A]
  static void before_ring() { Sync::full_fence(); }     // [R]
};

/// Lives in zeroed shared memory, between processes.
template <class Sync, class Orders = doorbell_orders<Sync>>
class doorbell {
 public:
  doorbell() = default;
  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  /// The sleeper whose `bits` these are; at least one. Returns the word to sleep on. The caller looks at everything
  /// that it is to be woken for once more before it sleeps. Wait-free.
  std::uint32_t announce(std::uint32_t bits) {
    // relaxed: [A] orders it
    const std::uint32_t word = word_.fetch_or(bits, Sync::relaxed) | bits;
    Orders::after_announce();  // [A] before the look that follows; against [R]
    return word;
  }

  /// The sleeper: does not sleep after all. It may be woken all the same. Wait-free.
  void withdraw(std::uint32_t bits) {
    word_.fetch_and(~bits, Sync::relaxed);  // relaxed: one that is seen late costs a needless wake-up
  }

  /// Anyone who has published something for the sleepers: the bits of those that must be woken, 0 mostly. Of several
  /// ringers one gets a bit. Wait-free; a fence and a load while nobody sleeps.
  std::uint32_t ring() {
    Orders::before_ring();  // [R] after the publication; against [A]
    // relaxed, both: [R] orders them, and nothing is read on their strength
    if (word_.load(Sync::relaxed) == 0) return 0;
    return word_.exchange(0, Sync::relaxed);
  }

  /// Whether somebody seems to sleep, for who need not know for sure. Wait-free.
  bool seems_set() const { return word_.load(Sync::relaxed) != 0; }

  /// What a futex sleeps on.
  const void* address() const { return &word_; }

 private:
  typename Sync::template atomic<std::uint32_t> word_;
};

}  // namespace remuda::detail
