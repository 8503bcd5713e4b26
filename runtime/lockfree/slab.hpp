// The block allocator behind remuda/detail/allocate.hpp: what the runtime and the tests need of it, and its claim list.
//
// Every block belongs to a 64 KiB chunk, every chunk for ever to one heap and one size class, and every heap to at most
// one thread at a time. The owner allocates and frees with plain loads and stores on the thread's own free lists. Any
// other thread collects the blocks that it frees in a chain for one heap and class, and pushes the chain onto that
// heap's remote_list with one CAS when it has 32 blocks or its target changes. The owner takes that list when its own
// is empty.
//
// Heaps and chunks are never freed: at thread exit the heap, with its blocks, waits in the claim list for the next new
// thread of its home. That is the NUMA node on which the thread ran that made the heap: workers are pinned before they
// allocate, and the first touch put the memory there. So what a pinned worker inherits is near, and the memory in use
// is that of the busiest moment of each node. A pointer to a heap is good for ever, also in the last thread_local
// destructor of a thread and in a child of fork(), where there is no lock that a lost thread might hold.
#pragma once

#include <cstddef>

#include "remuda/detail/sync.hpp"

namespace remuda::detail {

/// Pushes what this thread has freed of other threads' blocks and still keeps back, fewer than 32. A worker calls it
/// before it parks and before it hands its seat on. Lock-free.
void flush_remote_frees() noexcept;

struct slab_totals {
  std::size_t heaps;   // ever made: of each node at most one for each thread of its busiest moment
  std::size_t chunks;  // ever made, 64 KiB each
};

/// Any thread.
slab_totals totals_of_slab() noexcept;

/// The order of each tagged site of claim_list.
template <class Sync>
struct claim_list_orders {
  static constexpr auto add = Sync::release;   // [L1]
  static constexpr auto walk = Sync::acquire;  // [L2]
  static constexpr auto take = Sync::acquire;  // [C1]
  static constexpr auto give = Sync::release;  // [C2]
};

/// Nodes of which each is owned by one thread or free, for any thread of its home to claim.
///
/// A node is added once and never leaves, and its link never changes after that; owning it is a flag of its own. So
/// there is no ABA, and a walker may read any node. (A list that is taken as a whole, searched and put back would be
/// empty for other claimers meanwhile; they would make new nodes, and the list would grow with the number of threads
/// ever started.)
///
/// `Node` has `next_node`, a Sync::cell<Node*>; `claimed`, a Sync::atomic<bool>, true when it is added; and `home`, a
/// Sync::cell<unsigned>, which never changes after that.
template <class Sync, class Node, class Orders = claim_list_orders<Sync>>
class claim_list {
 public:
  /// Any thread, which owns the node afterwards. Lock-free.
  void add(Node* node) {
    Node* head = head_.load(Sync::relaxed);  // relaxed: only the address is used
    do {
      node->next_node.write(head);
      // [L1] release: publishes the node, its link and its home, pairs with [L2]. Each CAS goes on with the release
      // sequences of earlier ones, so one [L2] sees the whole list. Failure relaxed: as the load.
    } while (!head_.compare_exchange_weak(head, node, Orders::add, Sync::relaxed));
  }

  /// Any thread: a node with this home that is the caller's now, as its last owner left it, or null when all of them
  /// were owned. Wait-free.
  Node* claim(unsigned home) {
    // [L2] acquire: the nodes, links and homes that [L1] published.
    for (Node* node = head_.load(Orders::walk); node != nullptr; node = node->next_node.read()) {
      // relaxed: only saves the write on an owned node.
      if (node->home.read() != home || node->claimed.load(Sync::relaxed)) continue;
      // [C1] acquire: what the last owner did to the node before [C2].
      if (!node->claimed.exchange(true, Orders::take)) return node;
    }
    return nullptr;
  }

  /// The owner, which has no right to the node afterwards. Wait-free.
  static void give_back(Node* node) { node->claimed.store(false, Orders::give); }  // [C2] release: pairs with [C1]

 private:
  typename Sync::template atomic<Node*> head_{nullptr};
};

}  // namespace remuda::detail
