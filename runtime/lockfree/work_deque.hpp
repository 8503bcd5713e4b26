// A worker's own queue of task pointers: the owner pushes and pops at the bottom, thieves steal at the top.
//
// The algorithm is Chase and Lev's deque with the orders of Lê, Pop, Cohen and Zappa Nardelli (PPoPP 2013), its two
// fences replaced by seq_cst operations.
//
// Protocol. Items live at the indices [top, bottom) of an endless array; a power-of-two ring holds them. Both indices
// count for ever; top never goes down. The owner alone writes bottom and the ring. An index is taken either by the
// owner, who lowers bottom below it and then sees that no thief can have reached it, or by whoever moves top past it
// with a CAS. The two sides meet only at the last item: the owner writes bottom and then reads top, a thief reads top
// and then bottom, all four seq_cst, so at least one of the two sees the other; who sees the other settles it by the
// CAS.
//
// Invariants.
// - cached_top_ <= top, so the owner's view of how full the ring is errs only towards full (or towards non-empty).
// - A ring slot is written again only after top has passed its index, as read by the owner with acquire. A thief that
//   reads a slot late may read a newer item there, and then its CAS fails.
// - A grown ring leaves the old one as it was. Thieves may still read it, so it lives as long as the deque.
// - Only pop() stores a bottom that publishes nothing: it puts back the value that it took down, with top at or past
// it,
//   so a thief that believes it cannot win its CAS.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"

namespace remuda::detail {

/// The order of each tagged site of work_deque.
template <class Sync>
struct work_deque_orders {
  static constexpr auto push_bottom = Sync::release;   // [B1]
  static constexpr auto push_top = Sync::acquire;      // [T1]
  static constexpr auto grow_ring = Sync::release;     // [R1]
  static constexpr auto pop_bottom = Sync::seq_cst;    // [B2]
  static constexpr auto pop_top = Sync::seq_cst;       // [T2]
  static constexpr auto pop_take = Sync::seq_cst;      // [T3]
  static constexpr auto steal_top = Sync::seq_cst;     // [T4]
  static constexpr auto steal_bottom = Sync::seq_cst;  // [B3]
  static constexpr auto steal_ring = Sync::acquire;    // [R2]
  static constexpr auto steal_take = Sync::seq_cst;    // [T5]
};

enum class steal_outcome {
  empty,   // there was nothing to take
  lost,    // another taker was faster; there may be more
  stolen,  // `item` is the caller's
};

template <class T>
struct steal_result {
  T* item;
  steal_outcome outcome;
};

template <class Sync, class T, class Orders = work_deque_orders<Sync>>
class work_deque {
  template <class U>
  using atomic = typename Sync::template atomic<U>;

 public:
  /// `capacity` is a power of two: the items that fit before the first growth.
  explicit work_deque(std::size_t capacity) : rings_(std::make_unique<ring>(capacity)) {
    // relaxed: whoever shares the deque with a thief publishes it as a whole.
    owner_.ring_now.store(rings_.get(), Sync::relaxed);
  }

  work_deque(const work_deque&) = delete;
  work_deque& operator=(const work_deque&) = delete;

  /// Owner only. Wait-free unless the ring is full; then it allocates, and throws std::bad_alloc with the deque
  /// unchanged. No store-load barrier: who reads next who sleeps puts a fence before that.
  void push(T* item) {
    // relaxed: only this thread writes bottom and ring_now.
    const index bottom = owner_.bottom.load(Sync::relaxed);
    ring* to = owner_.ring_now.load(Sync::relaxed);
    if (bottom - owner_.cached_top > to->mask) [[unlikely]]
      to = make_room(bottom);
    to->at(bottom).store(item, Sync::relaxed);             // relaxed: [B1] publishes it
    owner_.bottom.store(bottom + 1, Orders::push_bottom);  // [B1] release: publishes item and slot; pairs with [B3]
  }

  /// Owner only. The newest item, or null when there is none or a thief took the last one. Wait-free.
  T* pop() {
    const index size_bound = owner_.bottom.load(Sync::relaxed) - owner_.cached_top;  // relaxed: own value
    if (size_bound <= 0) return nullptr;  // certainly empty, since top never goes down
    return pop_contended();
  }

  /// Any thread. The oldest item. Lock-free: it is lost only to another taker that got the item.
  steal_result<T> steal() {
    // [T4] seq_cst: [B3] must come after it in the single order, so that it sees how far the owner had lowered bottom
    // [B2] before top got here [T3] [T5]. The model runs loads in program order and so cannot catch a weaker one; it
    // stays, because hardware that swaps the loads would let a thief take an item that the owner has popped.
    index top = thief_.top.load(Orders::steal_top);
    // [B3] seq_cst: against [B2] as the head of the file says; acquires the items and slots of [B1].
    const index bottom = owner_.bottom.load(Orders::steal_bottom);
    if (top >= bottom) return {nullptr, steal_outcome::empty};
    // [R2] acquire: the slots of the ring that [R1] published, which may be newer than what [B3] read.
    const ring* from = owner_.ring_now.load(Orders::steal_ring);
    T* const item = from->at(top).load(Sync::relaxed);  // relaxed: [B3] or [R2] acquired it, or the CAS below fails
    // [T5] seq_cst: against [T2]; releases the read of the slot to [T1] and [T2]. Failure relaxed: nothing was taken.
    if (!thief_.top.compare_exchange_strong(top, top + 1, Orders::steal_take, Sync::relaxed)) {
      return {nullptr, steal_outcome::lost};
    }
    return {item, steal_outcome::stolen};
  }

  /// Any thread. May be wrongly true, but is false only if every item whose push() and fence came before the caller's
  /// fence was taken: the last look of a thread that has announced its sleep.
  bool maybe_nonempty() const {
    // relaxed, both: the fences order them, and nothing is read on their strength. An old top errs towards non-empty.
    const index top = thief_.top.load(Sync::relaxed);
    return top < owner_.bottom.load(Sync::relaxed);
  }

  /// Any thread; exact only for the owner while no thief is about.
  std::size_t size_approx() const {
    // relaxed: a hint.
    const index top = thief_.top.load(Sync::relaxed);
    const index size = owner_.bottom.load(Sync::relaxed) - top;
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }

 private:
  using index = std::int64_t;

  struct ring {
    explicit ring(std::size_t capacity)
        : mask(static_cast<index>(capacity) - 1), slots(std::make_unique<atomic<T*>[]>(capacity)) {
      assert(std::has_single_bit(capacity));
    }

    std::size_t capacity() const { return static_cast<std::size_t>(mask) + 1; }
    atomic<T*>& at(index i) const { return slots[static_cast<std::size_t>(i & mask)]; }

    const index mask;
    const std::unique_ptr<atomic<T*>[]> slots;
    std::unique_ptr<ring> retired;  // the ring that this one replaced
  };

  // Out of line, so that push() inlines as a compare and two stores.
  [[gnu::noinline]] ring* make_room(index bottom) {
    // [T1] acquire: with [T5], a thief has read its slot before the slot is written again. The model cannot catch a
    // weaker one, for no load in it sees a store that has not run yet; it stays, because C++ allows that.
    owner_.cached_top = thief_.top.load(Orders::push_top);
    if (bottom - owner_.cached_top <= rings_->mask) return rings_.get();
    auto bigger = std::make_unique<ring>(rings_->capacity() * 2);
    for (index i = owner_.cached_top; i != bottom; ++i) {
      // relaxed: own values, published by [R1].
      bigger->at(i).store(rings_->at(i).load(Sync::relaxed), Sync::relaxed);
    }
    bigger->retired = std::exchange(rings_, nullptr);
    rings_ = std::move(bigger);
    owner_.ring_now.store(rings_.get(), Orders::grow_ring);  // [R1] release: publishes the slots; pairs with [R2]
    return rings_.get();
  }

  T* pop_contended() {
    const index bottom = owner_.bottom.load(Sync::relaxed) - 1;  // relaxed: own value
    // [B2] seq_cst: no thief that reads bottom later in the single order [B3] takes the item without a CAS against
    // ours; releases the items that stay, to [B3].
    owner_.bottom.store(bottom, Orders::pop_bottom);
    // [T2] seq_cst: after [B2], against [T4] and [B3]. Acquires the slot reads of [T5], so cached_top may rest on it.
    index top = thief_.top.load(Orders::pop_top);
    owner_.cached_top = top;
    T* item = nullptr;
    if (top <= bottom) {
      item = owner_.ring_now.load(Sync::relaxed)->at(bottom).load(Sync::relaxed);  // relaxed: own values
      if (top < bottom) return item;
      // [T3] seq_cst: releases [B2] to [T4], so that a thief that finds top here reads bottom no older than that. The
      // model cannot catch a weaker one, since its seq_cst loads are never older; it stays, since C++ lets them be.
      // Failure relaxed: cached_top keeps what [T2] acquired.
      if (!thief_.top.compare_exchange_strong(top, top + 1, Orders::pop_take, Sync::relaxed)) item = nullptr;
    }
    owner_.bottom.store(bottom + 1, Sync::relaxed);  // relaxed: publishes nothing, as the head of the file says
    return item;
  }

  // Written by the owner on every push and pop. Thieves read bottom and ring_now here.
  struct alignas(cache_line) owner_side {
    atomic<index> bottom{0};
    atomic<ring*> ring_now{nullptr};
    index cached_top = 0;  // what top was when the owner last read it; saves reading the thieves' line on every push
  };

  // Written by thieves, and by the owner for the last item.
  struct alignas(cache_line) thief_side {
    atomic<index> top{0};
  };

  static_assert(alignof(owner_side) == cache_line && alignof(thief_side) == cache_line,
                "what the owner writes and what thieves write must not share a cache line");

  owner_side owner_;
  thief_side thief_;
  std::unique_ptr<ring> rings_;  // the ring in use, with all its predecessors behind it; owner only
};

}  // namespace remuda::detail
