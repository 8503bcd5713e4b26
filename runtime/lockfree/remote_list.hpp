// A list that many threads push chains onto and one thread takes as a whole.
//
// Protocol. The nodes hang on one head, newest first. push() links the last node of its chain to the head that it saw
// and puts its first node there with a CAS; take_all() exchanges the head for null and then owns every node it got.
//
// No ABA: a CAS that succeeds on a head that went away and came back is right, because all that push() knows of the old
// head is its address, which it has just stored in the chain's last node. Nothing is ever taken from the middle, so no
// thread reads the link of a node that it does not own.
//
// Invariant: from a node in the list, the links lead to null through nodes whose pushers released them.
#pragma once

#include "remuda/config.hpp"

namespace remuda::detail {

/// The order of each tagged site of remote_list.
template <class Sync>
struct remote_list_orders {
  static constexpr auto push = Sync::release;  // [H1]
  static constexpr auto take = Sync::acquire;  // [H2]
};

/// `Node` has a member `next`, a Sync::cell<Node*>.
template <class Sync, class Node, class Orders = remote_list_orders<Sync>>
class remote_list {
 public:
  /// Any thread: adds first -> ... -> last, linked through `next`, as one. Lock-free.
  void push(Node* first, Node* last) {
    Node* head = head_.load(Sync::relaxed);  // relaxed: only the address is used
    do {
      last->next.write(head);
      // [H1] release: publishes the chain and all that the caller did to the nodes before; pairs with [H2]. The CAS
      // goes on with the release sequences of earlier pushes, so one [H2] acquires them all. Failure relaxed: as the
      // load.
    } while (!head_.compare_exchange_weak(head, first, Orders::push, Sync::relaxed));
  }

  /// One thread at a time, its turns ordered by the caller: every node pushed so far, as a chain that ends in null.
  /// Wait-free.
  Node* take_all() {
    // relaxed: an empty list costs no write, and what is missed now is there at the next call.
    if (head_.load(Sync::relaxed) == nullptr) return nullptr;
    return head_.exchange(nullptr, Orders::take);  // [H2] acquire: the nodes that [H1] published
  }

 private:
  alignas(cache_line)
      typename Sync::template atomic<Node*> head_{nullptr};  // written by every pusher: a line of its own
};

}  // namespace remuda::detail
