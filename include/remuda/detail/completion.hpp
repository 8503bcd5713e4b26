// The completion word: the one atomic word that a future's whole life happens in.
//
//   word = (newest callback node) | waiter bit | status          the list pointer has its low 4 bits free
//
// Protocol
//   arm        release store of `pending`; publishes the block to whoever gets its address through a queue      [A]
//   try_start  pending -> running by CAS; the winner alone may run the closure and write the outcome             [S]
//   try_cancel pending -> cancelled by CAS; the winner alone may destroy the closure                             [X]
//   finish     running -> value | error | cancelled by one fetch_add (the statuses are numbered for that), which
//              closes the list and returns it: one instruction, no loop, no lost callback                        [F]
//   push       adds a node in front of the list by CAS, unless the word is final: then the caller runs it         [P]
//   try_take   value -> taken by CAS; the winner alone may move the value out                                    [T]
//   announce_waiter  sets the waiter bit, so that finish() tells its caller to wake the address                   [W]
//
// Invariants
//   I1  A final status (value, error, cancelled, taken) never becomes another one, but for value -> taken.
//   I2  Nodes are pushed only while the status is pending or running; each node pushed is returned by exactly one
//       finish() or try_cancel(). Nodes are not freed before the block is, so a holder of the block may walk the list.
//   I3  The outcome is written between try_start and finish by one thread, and read only after a final status is seen.
//
// Progress: finish is wait-free; everything else is lock-free.
#pragma once

#include <cstdint>

#include "remuda/detail/sync.hpp"

namespace remuda::detail {

enum class status : std::uint64_t { pending = 0, running = 1, value = 2, error = 3, cancelled = 4, taken = 5 };

constexpr bool is_final(status s) { return s >= status::value; }

template <class Sync>
struct completion_orders {
  static constexpr auto arm = Sync::release;
  static constexpr auto start = Sync::acq_rel;
  static constexpr auto refused = Sync::acquire;
  static constexpr auto cancel = Sync::acq_rel;
  static constexpr auto finish = Sync::acq_rel;
  static constexpr auto push = Sync::release;
  static constexpr auto take = Sync::acquire;
  static constexpr auto load = Sync::acquire;
  static constexpr auto recheck = Sync::acq_rel;
};

template <class Sync, class Node, class Orders = completion_orders<Sync>>
class completion {
 public:
  using word_type = std::uint64_t;
  static constexpr word_type status_mask = 7;
  static constexpr word_type waiter_bit = 8;
  static constexpr word_type flag_mask = 15;

  struct closed {
    Node* newest;  ///< the callbacks, newest first; null when there are none
    bool waiters;  ///< somebody sleeps on the address
  };

  static status status_of(word_type w) { return static_cast<status>(w & status_mask); }
  static Node* list_of(word_type w) { return reinterpret_cast<Node*>(static_cast<std::uintptr_t>(w & ~flag_mask)); }

  /// Before the block is shared.
  void arm() { word_.store(0, Orders::arm); }  // [A] release: publishes the closure; pairs with [S] and [L]

  word_type load() const {
    return word_.load(Orders::load);
  }  // [L] acquire: sees the outcome that [F] or [X] published
  status current() const { return status_of(load()); }

  bool try_start() {
    word_type w =
        word_.load(Orders::refused);  // [O] acquire, here and in a CAS that fails: pairs with the release of [S]
    while (status_of(w) == status::pending) {
      // [S] acquire: the closure is run next, so see what [A] published; release: who is refused [O] knows all that the
      // winner did before, such as counting itself among those whom a shutdown waits for
      if (word_.compare_exchange_weak(w, w + 1, Orders::start, Orders::refused)) return true;
    }
    return false;
  }

  bool try_cancel(closed& out) {
    word_type w = word_.load(Sync::relaxed);  // relaxed: only a guess for the CAS
    while (status_of(w) == status::pending) {
      const word_type next = w + static_cast<word_type>(status::cancelled);
      // [X] acquire: sees the nodes of [P] and the closure of [A]; release: later readers of `cancelled` come after
      if (word_.compare_exchange_weak(w, next, Orders::cancel, Sync::relaxed)) {
        out = {list_of(w), (w & waiter_bit) != 0};
        return true;
      }
    }
    return false;
  }

  /// REQUIRES: the caller won try_start() and has written the outcome that `final` names.
  closed finish(status final) {
    const word_type step = static_cast<word_type>(final) - static_cast<word_type>(status::running);
    // [F] release: publishes the outcome to [L]; acquire: sees the nodes that [P] published
    const word_type w = word_.fetch_add(step, Orders::finish);
    return {list_of(w), (w & waiter_bit) != 0};
  }

  /// Adds `node`, whose `next` is set to the list so far. False when the status is final: nothing was added.
  bool push(Node* node) {
    word_type w = word_.load(Orders::load);  // acquire: a final status means that the caller reads the outcome
    while (!is_final(status_of(w))) {
      node->next = list_of(w);
      const word_type next = (w & flag_mask) | reinterpret_cast<std::uintptr_t>(node);
      // [P] release: publishes the node to [F], [X] and to walkers; acquire on failure for the same reason as above
      if (word_.compare_exchange_weak(w, next, Orders::push, Orders::load)) return true;
    }
    return false;
  }

  bool try_take() {
    word_type w = word_.load(Sync::relaxed);  // relaxed: only a guess for the CAS
    while (status_of(w) == status::value) {
      // [T] acquire: the value is moved out next
      if (word_.compare_exchange_weak(w, w + 3, Orders::take, Sync::relaxed)) return true;
    }
    return false;
  }

  /// Sets the waiter bit. Returns the word to sleep on, or a word with a final status.
  word_type announce_waiter() {
    word_type w = word_.load(Orders::load);
    while (!is_final(status_of(w)) && (w & waiter_bit) == 0) {
      // The bit carries no data; that finish() sees it or we see finish() follows from the one word. Acquire is for the
      // failure, where a final status may show.
      if (word_.compare_exchange_weak(w, w | waiter_bit, Orders::load, Orders::load)) return w | waiter_bit;
    }
    return w;
  }

  /// The word as of now: not older than the caller's last write. For who has put something in a place that a completing
  /// thread looks at after finish(): either it looks there later, or the word returned is final.
  word_type recheck() {
    // [R] release: if [F] comes later in the word's order, it acquires what the caller wrote; acquire: else we see [F]
    return word_.fetch_add(0, Orders::recheck);
  }

  /// For the block's only owner: no other thread can reach it.
  void set_unshared(status s) { word_.store(static_cast<word_type>(s), Sync::relaxed); }  // relaxed: nobody else looks

  /// The 32 bits that a futex compares: status and waiter bit are in them.
  const void* address() const { return &word_; }

 private:
  typename Sync::template atomic<word_type> word_{};
};

}  // namespace remuda::detail
