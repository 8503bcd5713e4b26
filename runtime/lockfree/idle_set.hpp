// Who of a pool's workers searches and who sleeps: the event count behind going to sleep and being woken.
//
//   word = closing | searching (20 bits) | sleeping (20 bits)         every other worker is active
//   bit i of the map: worker i may be picked by a waker
//
// Protocol (runtime/sched/SLEEP.md tells why no wake-up is lost)
//   pusher    makes work visible, executes a fence, reads the word                                        [W]
//             sleeping > 0 and searching == 0: reserve(), pick(), wake the one picked
//   searcher  found work: stop_searching() [Q]; if it was the last one and somebody sleeps, it executes a fence and
//   looks
//             whether more work is visible; if so it reserves and wakes the next: one at a time, while there is work
//   sleeper   sets its bit, then announces itself in the word [N], executes a fence, looks at every queue; nothing:
//   sleeps.
//             Something: reserve_any() and pick(self first), as if it were the one to wake somebody
//
// Invariants
//   I1  Bits set = sleeping + reservations that have not picked yet. So a reservation always finds a bit.
//   I2  A reservation moves one worker from sleeping to searching before anybody is woken, so pushers that come after
//       it do not wake a second one.
//   I3  Only worker i sets bit i, once per announcement; who clears it wakes worker i, or is worker i.
//
// Progress: lock-free. After the sleeping threads of rayon (its jobs event counter is not needed, since a worker looks
// at all queues after it has announced itself) and tokio (one searcher's duty to wake the next).
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "remuda/config.hpp"

namespace remuda::detail {

template <class Sync>
struct idle_set_orders {
  static constexpr auto search = Sync::release;
  static constexpr auto set_bit = Sync::release;
  static constexpr auto announce = Sync::acq_rel;
  static constexpr auto reserve = Sync::acquire;
  static constexpr auto clear_bit = Sync::acquire;
  static constexpr auto close = Sync::acq_rel;
};

template <class Sync, class Orders = idle_set_orders<Sync>>
class idle_set {
 public:
  using word_type = std::uint64_t;

  explicit idle_set(unsigned workers)
      : workers_(workers), map_(std::make_unique<typename Sync::template atomic<word_type>[]>(words())) {
    word_.store(0, Sync::relaxed);  // relaxed, here and below: the pool is published as a whole
    for (unsigned w = 0; w < words(); ++w) map_[w].store(0, Sync::relaxed);
  }

  static unsigned sleeping(word_type w) { return static_cast<unsigned>(w & field); }
  static unsigned searching(word_type w) { return static_cast<unsigned>((w >> shift) & field); }
  static bool closing(word_type w) { return (w & closing_bit) != 0; }
  /// Every worker sleeps: nothing runs, except on threads without a seat.
  bool all_sleep(word_type w) const { return sleeping(w) == workers_ && searching(w) == 0; }

  /// relaxed: the caller's fence between its publication of work and this [W] is what orders it against the fences
  /// after [N] and [Q].
  word_type look() const { return word_.load(Sync::relaxed); }
  static bool wake_wanted(word_type w) { return sleeping(w) > 0 && searching(w) == 0; }

  /// active -> searching, unless `limit` workers search already.
  /// [I] release: a sleeper that finds no worker active [N] need not make others execute a fence, for it sees what they
  /// pushed while they were. The model, whose fences are all full ones, cannot catch a weaker one.
  bool try_search(unsigned limit) {
    word_type w = word_.load(Sync::relaxed);  // relaxed: a guess for the CAS
    while (searching(w) < limit) {
      if (word_.compare_exchange_weak(w, w + one_searching, Orders::search, Sync::relaxed)) return true;  // [I]
    }
    return false;
  }

  /// searching -> active. True: it was the last searcher and somebody sleeps, so the caller must look for more work.
  bool stop_searching() {
    // [Q] relaxed: the caller's look has a fence before it, and the pusher that saw us searching one before [W]
    const word_type before = word_.fetch_sub(one_searching, Sync::relaxed);
    return searching(before) == 1 && sleeping(before) > 0;
  }

  /// searching or active -> sleeping. Returns the word after it. The caller then looks at every queue before it sleeps.
  word_type announce(unsigned worker, bool from_searching) {
    assert(worker < workers_);
    // [B] release: pairs with [C], for a waker may pick us before [N]; and I1 wants the bit there before the count
    map_[worker / 64].fetch_or(bit(worker), Orders::set_bit);
    const word_type step = one_sleeping - (from_searching ? one_searching : 0);
    // [N] release: publishes [B] to [V]; acquire: pairs with [I]. A fence stands between it and the look at the queues
    return word_.fetch_add(step, Orders::announce) + step;
  }

  /// The right to wake one sleeper, who counts as searching from now on. False: none sleeps, or somebody searches.
  bool reserve() {
    return reserve_if([](word_type w) { return wake_wanted(w); });
  }
  /// The same, whether somebody searches or not.
  bool reserve_any() {
    return reserve_if([](word_type w) { return sleeping(w) > 0; });
  }

  /// Uses up a reservation, if this worker may be picked.
  bool try_pick(unsigned worker) {
    // relaxed: saves the locked instruction; claim() decides
    return (map_[worker / 64].load(Sync::relaxed) & bit(worker)) != 0 && claim(worker);
  }

  /// Uses up a reservation: the worker to wake. `first` is tried first, then who is near to it in number: workers are
  /// numbered by place, so that is near on the machine too. `avoid`: tried last (-1: nobody).
  unsigned pick(unsigned first, int avoid = -1) {
    if (first < workers_ && static_cast<int>(first) != avoid && claim(first)) return first;
    const unsigned home = (first < workers_ ? first : 0) / 64;
    for (;;) {  // a bit is there (I1), but it may move while we walk: others take the ones we see and new ones come
      for (unsigned i = 0; i < words(); ++i) {
        const unsigned at = (home + i) % words();
        word_type left = map_[at].load(Sync::relaxed);  // relaxed: a guess for claim()
        if (avoid >= 0 && static_cast<unsigned>(avoid) / 64 == at) left &= ~bit(static_cast<unsigned>(avoid));
        while (left != 0) {
          const unsigned worker = at * 64 + static_cast<unsigned>(std::countr_zero(left));
          if (claim(worker)) return worker;
          left &= left - 1;
        }
      }
      if (avoid >= 0 && claim(static_cast<unsigned>(avoid))) return static_cast<unsigned>(avoid);
      Sync::pause();
    }
  }

  /// No more work comes from outside. Returns the word after it.
  /// [Z] release: the worker whose [N] finds the pool closing sees what the closer did before; acquire: the closer that
  /// finds all asleep sees what they did. The model does not look at the latter.
  word_type close() { return word_.fetch_or(closing_bit, Orders::close) | closing_bit; }

 private:
  static constexpr unsigned shift = 20;
  static constexpr word_type field = (word_type{1} << shift) - 1;
  static constexpr word_type one_sleeping = 1;
  static constexpr word_type one_searching = word_type{1} << shift;
  static constexpr word_type closing_bit = word_type{1} << 63;

  static word_type bit(unsigned worker) { return word_type{1} << (worker % 64); }
  unsigned words() const { return (workers_ + 63) / 64; }

  bool claim(unsigned worker) {
    // [C] acquire: pairs with [B], so that the waker may use the worker's place to sleep. It need not release: the next
    // [B] of this worker comes after through the wake-up, and a read-modify-write does not hide other workers' [B].
    return (map_[worker / 64].fetch_and(~bit(worker), Orders::clear_bit) & bit(worker)) != 0;
  }

  template <class Condition>
  bool reserve_if(Condition&& condition) {
    word_type w = word_.load(Sync::relaxed);  // relaxed: a guess for the CAS
    while (condition(w)) {
      // [V] acquire: sees the bit of every worker that it counts [N], so that pick() need not wait for it
      if (word_.compare_exchange_weak(w, w - one_sleeping + one_searching, Orders::reserve, Sync::relaxed)) return true;
    }
    return false;
  }

  const unsigned workers_;
  alignas(cache_line) typename Sync::template atomic<word_type> word_;
  alignas(cache_line) std::unique_ptr<typename Sync::template atomic<word_type>[]> map_;
};

}  // namespace remuda::detail
