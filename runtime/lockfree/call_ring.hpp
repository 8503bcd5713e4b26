// The calls from a parent process to one worker process, and their results: one ring of slots in shared memory, each of
// which carries a call there and its result back in place.
//
//   word = lap << 3 | state                lap = position / capacity, modulo 2^29; a fresh slot's word is 0
//
// Protocol. Positions count for ever; a slot serves the positions that are equal modulo the capacity, one lap after the
// other. In the slot of position p, lap l:
//   sender    once tail is past p - capacity: writes the body, moves head past p [H1], then l|ready              [W1]
//   server    l|ready [W2] -> l|taken by CAS, runs, writes the result into the body, then l|done                 [W4]
//             l|withdrawn [W2] -> l|done at once, with a body that says so: it was not run                       [W3]
//   withdraw  l|ready -> l|withdrawn by CAS: the server does not run it any more, but still answers it
//   receiver  l|done [W5] and p before head [H2]: reads the result, then moves tail past p                       [T1]
// Sender, withdrawer and receiver are threads of the parent; the server is the worker. After a publication (a call, a
// result) whoever published it rings the other side's doorbell (doorbell.hpp), which has the fence that this needs.
//
// Trust. head and tail are in the parent's private memory, and what the parent does next rests on them and never on the
// worker's word alone: a worker may write anything into any slot at any time. Each look loads the word once; a word
// that its position cannot have is reported as corrupt. A worker can withhold an answer or give a wrong one, but it
// cannot make the parent pass a call that was not sent, pass one twice, or read its own memory unordered.
//
// Invariants.
// - tail <= head <= tail + capacity. Only the sender moves head, only the receiver tail.
// - A slot's word changes from ready by CAS only, so the server and the withdrawer cannot both have it.
// - An honest server's l|done implies p < head for whoever acquired it, since head moves before l|ready is written.
// - The body belongs to the sender from tail's passing of p - capacity to l|ready, to the server until l|done, and to
//   the receiver until tail has passed p.
//
// Progress: every operation is wait-free, except that take() goes on while withdrawn calls lie in its way.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>

#include "remuda/config.hpp"

namespace remuda::detail {

/// The order of each tagged site of the two sides of a call ring.
template <class Sync>
struct call_ring_orders {
  static constexpr auto publish_head = Sync::release;  // [H1]
  static constexpr auto publish_word = Sync::release;  // [W1]
  static constexpr auto full_tail = Sync::acquire;     // [T2]
  static constexpr auto look_word = Sync::acquire;     // [W5]
  static constexpr auto look_head = Sync::acquire;     // [H2]
  static constexpr auto release_tail = Sync::release;  // [T1]
  static constexpr auto state_head = Sync::acquire;    // [H3]
  static constexpr auto state_word = Sync::acquire;    // [W6]
  static constexpr auto take_word = Sync::acquire;     // [W2]
  static constexpr auto finish_word = Sync::release;   // [W4]
  static constexpr auto skip_word = Sync::release;     // [W3]
};

enum class slot_state : std::uint32_t {
  free,       // no call is there: not sent yet, or its result was received
  ready,      // sent, and not begun
  taken,      // the worker has begun it
  done,       // the result is there, or the note that it was withdrawn and not run
  withdrawn,  // taken back, and not answered yet
  corrupt,    // never in a word: the word is none that this position can have
};

enum class call_look {
  nothing,  // no answer yet
  done,     // front() is answered
  corrupt,  // the worker has written a word that it cannot write; it is to be ended
};

/// What both sides know of a ring: where the slot of a position is and which words it may have.
template <class Slot>
class call_ring_slots {
 public:
  /// `capacity` is a power of two.
  call_ring_slots(Slot* slots, std::uint32_t capacity)
      : slots_(slots), mask_(capacity - 1), shift_(static_cast<unsigned>(std::countr_zero(capacity))) {
    assert(std::has_single_bit(capacity));
  }

  Slot& at(std::uint64_t position) const { return slots_[position & mask_]; }
  std::uint32_t word(std::uint64_t position, slot_state state) const {
    return static_cast<std::uint32_t>(position >> shift_) << state_bits | static_cast<std::uint32_t>(state);
  }
  std::uint64_t capacity() const { return std::uint64_t{mask_} + 1; }
  void move_to(Slot* slots) {
    if (slots_ != slots) slots_ = slots;  // a thread may look at the old ring's words meanwhile, if it stays in place
  }

  static constexpr unsigned state_bits = 3;
  static constexpr std::uint32_t state_mask = (1U << state_bits) - 1;

 private:
  Slot* slots_;
  std::uint32_t mask_;
  unsigned shift_;
};

/// The parent's side. `Slot` has a member `word`, a Sync::atomic<std::uint32_t>; the rest of it is the user's.
///
/// Three roles, each of which one thread has at a time, with whatever lock hands it on: sender, receiver, and
/// withdrawer (the sender's lock will do).
template <class Sync, class Slot, class Orders = call_ring_orders<Sync>>
class call_ring_caller {
 public:
  /// `slots`: as many as `capacity`, a power of two, with words that are 0. `first`: the first call's position; the
  /// server's must be the same.
  call_ring_caller(Slot* slots, std::uint32_t capacity, std::uint64_t first = 0) : slots_(slots, capacity) {
    start_at(first);
  }

  call_ring_caller(const call_ring_caller&) = delete;
  call_ring_caller& operator=(const call_ring_caller&) = delete;

  /// Nobody else may use the ring meanwhile: goes on with another server's `slots`, as after construction. What was in
  /// the old ones is forgotten. Positions of before mean other calls now, unless `first` is past them.
  void reset(Slot* slots, std::uint64_t first = 0) {
    slots_.move_to(slots);
    start_at(first);
  }

  std::uint32_t capacity() const { return static_cast<std::uint32_t>(slots_.capacity()); }

  // --- sender -------------------------------------------------------------------------------------------------------

  /// Sender. No slot is free: the oldest call is not answered, or its answer not received.
  bool full() const {
    const std::uint64_t head = sender_.head.load(Sync::relaxed);  // relaxed: own value
    if (head - sender_.known_tail < slots_.capacity()) return false;
    // [T2] acquire: the receiver has read the slot before it is written again; pairs with [T1]
    sender_.known_tail = receiver_.tail.load(Orders::full_tail);
    return head - sender_.known_tail >= slots_.capacity();
  }

  /// Where the next call goes. Exact for the sender; for others a lower bound.
  std::uint64_t head() const { return sender_.head.load(Sync::relaxed); }  // relaxed: own value, or a hint

  /// Sender, when the ring is not full: the slot of position head(), to be filled. Its word is not the sender's to
  /// write.
  Slot& next() { return slots_.at(head()); }

  /// Sender, when next() is filled, and whatever the receiver wants to know of this call is written: sends it. Returns
  /// its position. No store-load order: doorbell::ring() comes after, once for any number of calls.
  std::uint64_t publish() {
    const std::uint64_t position = head();
    // [H1] release: what the parent noted for itself about the call, for the receiver [H2], and the slot's word of the
    // lap before [H3]. It comes before the word, so that a receiver that sees the answer sees that the call was sent.
    sender_.head.store(position + 1, Orders::publish_head);
    // [W1] release: publishes the body to [W2], and head along with it to [W5]; goes on with tail [T2] to [W6]
    slots_.at(position).word.store(slots_.word(position, slot_state::ready), Orders::publish_word);
    return position;
  }

  /// Withdrawer: takes back a call that was sent, so that the server does not run it. True: it will not be run; its
  /// answer still comes, unless the worker dies, and says so. False: it has begun, or is done, or was received. The
  /// word decides, so a worker that lies may make either come out: what the caller does with it has to be safe for
  /// both.
  bool withdraw(std::uint64_t position) {
    std::uint32_t expected = slots_.word(position, slot_state::ready);
    // relaxed: publishes nothing, and reads nothing. As a read-modify-write it goes on with the release sequence of
    // [W1], so that [W2] acquires the body.
    return slots_.at(position).word.compare_exchange_strong(expected, slots_.word(position, slot_state::withdrawn),
                                                            Sync::relaxed, Sync::relaxed);
  }

  // --- receiver -----------------------------------------------------------------------------------------------------

  /// Receiver: whether the oldest call is answered. Once it has said done, what is in front() is the worker's answer,
  /// to be judged like anything that the worker writes: it may still be changing if the worker is not honest.
  call_look look() const {
    const std::uint64_t position = receiver_.tail.load(Sync::relaxed);  // relaxed: own value
    // [W5] acquire: the result; pairs with [W4] and [W3]. And head, by way of [W2] from [W1].
    const std::uint32_t word = slots_.at(position).word.load(Orders::look_word);
    switch (state_of(word, position)) {
      case slot_state::done:
        // [H2] acquire: what the sender noted about the call, even if the worker answered before it was asked; pairs
        // with [H1]
        return position < sender_.head.load(Orders::look_head) ? call_look::done : call_look::corrupt;
      case slot_state::corrupt:
        return call_look::corrupt;
      default:
        return call_look::nothing;
    }
  }

  /// Receiver: the slot of position tail().
  Slot& front() { return slots_.at(tail()); }

  /// The oldest call that is not received. Exact for the receiver; for others a lower bound.
  std::uint64_t tail() const { return receiver_.tail.load(Sync::relaxed); }  // relaxed: own value, or a hint

  /// Receiver, after a look() that said done and when front() is not needed any more: gives the slot to the sender.
  void release() {
    // [T1] release: the body was read before; pairs with [T2]
    receiver_.tail.store(tail() + 1, Orders::release_tail);
  }

  /// Calls sent and not received. Any thread of the parent; never too few by more than what is sent meanwhile.
  std::uint64_t in_flight() const {
    // acquire, and first: the receiver had seen head past it before it moved tail, so head is not behind it
    const std::uint64_t oldest = receiver_.tail.load(Sync::acquire);
    return head() - oldest;
  }

  /// The slot of a position. Any thread of the parent.
  Slot& at(std::uint64_t position) const { return slots_.at(position); }

  // --- anyone -------------------------------------------------------------------------------------------------------

  /// Any thread of the parent: what has become of a call, at some moment during this. With an honest worker never
  /// corrupt. After the worker's death, and once the receiver has received what was done, it is final: ready was not
  /// begun, taken was.
  slot_state state_at(std::uint64_t position) const {
    // [H3] acquire: the word below is at least the one that the sender found when this position became its own, the
    // answer of the lap before; pairs with [H1]
    if (position >= sender_.head.load(Orders::state_head)) return slot_state::free;
    // [W6] acquire: if the slot is used for a later lap already, tail below is past this position; pairs with [W1]
    const std::uint32_t word = slots_.at(position).word.load(Orders::state_word);
    // relaxed: [W6] orders what must be ordered
    if (position < receiver_.tail.load(Sync::relaxed)) return slot_state::free;
    return state_of(word, position);
  }

 private:
  using counter = typename Sync::template atomic<std::uint64_t>;

  void start_at(std::uint64_t first) {
    if (first_ != first) first_ = first;  // as move_to()
    sender_.known_tail = first;
    sender_.head.store(first, Sync::relaxed);  // relaxed, both: the ring is handed to its users as a whole
    receiver_.tail.store(first, Sync::relaxed);
  }

  /// The state that a word says `position` is in. The word from before it was sent is legal too, for head moves first.
  slot_state state_of(std::uint32_t word, std::uint64_t position) const {
    if ((word ^ slots_.word(position, slot_state::free)) <= static_cast<std::uint32_t>(slot_state::withdrawn)) {
      const auto state = static_cast<slot_state>(word & call_ring_slots<Slot>::state_mask);
      if (state != slot_state::free) return state;
    }
    const std::uint32_t before =
        position - first_ < slots_.capacity() ? 0 : slots_.word(position - slots_.capacity(), slot_state::done);
    return word == before ? slot_state::free : slot_state::corrupt;
  }

  // Written by the sender; the receiver reads head when it has an answer.
  struct alignas(cache_line) sender_side {
    counter head{0};
    mutable std::uint64_t known_tail = 0;  // what tail was when the sender last read it; at most tail
  };

  // Written by the receiver; the sender reads tail when the ring looks full to it.
  struct alignas(cache_line) receiver_side {
    counter tail{0};
  };

  static_assert(alignof(sender_side) == cache_line && alignof(receiver_side) == cache_line,
                "what the sender writes and what the receiver writes must not share a cache line");

  call_ring_slots<Slot> slots_;
  std::uint64_t first_ = 0;
  sender_side sender_;
  receiver_side receiver_;
};

/// The worker's side; one thread's. It trusts the parent.
template <class Sync, class Slot, class Orders = call_ring_orders<Sync>>
class call_ring_server {
 public:
  /// As the caller's.
  call_ring_server(Slot* slots, std::uint32_t capacity, std::uint64_t first = 0)
      : slots_(slots, capacity), position_(first) {}

  call_ring_server(const call_ring_server&) = delete;
  call_ring_server& operator=(const call_ring_server&) = delete;

  /// Begins the next call: it can no longer be withdrawn, and finish() must follow before the next take(). Null when
  /// there is none. Withdrawn ones on the way are answered: `skip(Slot&)` writes what the receiver shall find, and the
  /// receiver's doorbell is to be rung after this returns, whether it returns a call or not.
  template <class Skip>
  Slot* take(Skip&& skip) {
    assert(!taken_);
    for (;;) {
      Slot& slot = slots_.at(position_);
      // [W2] acquire: the body; pairs with [W1], also by way of a withdrawal
      std::uint32_t word = slot.word.load(Orders::take_word);
      if (word == slots_.word(position_, slot_state::ready)) {
        // relaxed: [W2] acquired it, and the receiver learns nothing from it. If it fails, it was withdrawn meanwhile.
        if (slot.word.compare_exchange_strong(word, slots_.word(position_, slot_state::taken), Sync::relaxed,
                                              Sync::relaxed)) {
          taken_ = true;
          return &slot;
        }
      } else if (word == slots_.word(position_, slot_state::withdrawn)) {
        skip(slot);
        // [W3] release: publishes what skip() wrote; pairs with [W5]
        slot.word.store(slots_.word(position_, slot_state::done), Orders::skip_word);
        ++position_;
      } else {
        return nullptr;
      }
    }
  }

  /// The same for a body that need not say that it was skipped.
  Slot* take() {
    return take([](Slot&) {});
  }

  /// Whether take() would find something.
  bool ready() const {
    const std::uint32_t word = slots_.at(position_).word.load(Sync::relaxed);  // relaxed: take() decides
    return word == slots_.word(position_, slot_state::ready) || word == slots_.word(position_, slot_state::withdrawn);
  }

  /// The call that was taken and is not finished, else the next one.
  std::uint64_t position() const { return position_; }

  /// After take(), when the result is in the slot: publishes it. No store-load order, as in publish().
  void finish() {
    assert(taken_);
    taken_ = false;
    // [W4] release: publishes the result; pairs with [W5]
    slots_.at(position_).word.store(slots_.word(position_, slot_state::done), Orders::finish_word);
    ++position_;
  }

 private:
  call_ring_slots<Slot> slots_;
  std::uint64_t position_;
  bool taken_ = false;  // for the assertions
};

}  // namespace remuda::detail
