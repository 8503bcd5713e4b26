// Models of the two lists of the slab, runtime/lockfree/remote_list.hpp and the claim list of
// runtime/lockfree/slab.hpp: the shipped orders must pass, each mutant must fail. Every tagged order has its mutant.
#include <array>

#include "runtime/lockfree/remote_list.hpp"
#include "runtime/lockfree/slab.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::claim_list;
using remuda::detail::claim_list_orders;
using remuda::detail::remote_list;
using remuda::detail::remote_list_orders;

using good_remote = remote_list_orders<relacy_sync>;
using good_claim = claim_list_orders<relacy_sync>;

struct block {
  relacy_sync::cell<block*> next;
  relacy_sync::cell<int> content;
  int times_taken = 0;  // plain: relacy's threads are fibers, and this one must not add any order
};

/// Thread 0 owns the list, the others free blocks onto it: chains of two and single ones. The owner uses what it takes
/// and lets thread 2 free one of those blocks again, so that an address comes back to the head.
template <class Orders>
struct remote_free : rl::test_suite<remote_free<Orders>, 3> {
  remote_list<relacy_sync, block, Orders> list;
  std::array<block, 5> blocks;
  relacy_sync::atomic<block*> handed_out{nullptr};

  void thread(unsigned id) {
    if (id == 0) {
      block* const again = take();
      handed_out.store(again, relacy_sync::release);
      take();
    } else if (id == 1) {
      push(&blocks[0], &blocks[1]);
      push(&blocks[2], &blocks[2]);
    } else {
      push(&blocks[3], &blocks[4]);
      if (block* const again = handed_out.load(relacy_sync::acquire)) {
        again->times_taken = 0;
        push(again, again);
      }
    }
  }

  void after() {
    take();
    // One that was handed out and not freed again was taken once too.
    for (const block& b : blocks) RL_ASSERT(b.times_taken == 1);
  }

  void push(block* first, block* last) {
    for (block* b = first; b <= last; ++b) b->content.write(1);
    if (first != last) first->next.write(last);
    list.push(first, last);
  }

  block* take() {
    block* const first = list.take_all();
    for (block* b = first; b != nullptr; b = b->next.read()) {
      RL_ASSERT(b->content.read() == 1);
      b->content.write(2);
      RL_ASSERT(++b->times_taken == 1);
    }
    return first;
  }
};

struct weak_push : good_remote {
  static constexpr auto push = relacy_sync::relaxed;
};
struct weak_take : good_remote {
  static constexpr auto take = relacy_sync::relaxed;
};

struct heap {
  relacy_sync::cell<heap*> next_node;
  relacy_sync::cell<unsigned> home;
  relacy_sync::atomic<bool> claimed{true};
  relacy_sync::cell<int> blocks;
  int owners = 0;  // plain, as times_taken
};

/// Threads that come and go on two nodes: each claims a heap of the node where it is or adds its own, uses it and gives
/// it back, twice.
template <class Orders>
struct claims : rl::test_suite<claims<Orders>, 3> {
  claim_list<relacy_sync, heap, Orders> list;
  std::array<heap, 6> heaps;
  unsigned made = 0;

  void thread(unsigned id) {
    for (unsigned turn = 0; turn < 2; ++turn) {
      const unsigned here = id == 2 ? turn : 0;
      heap* h = list.claim(here);
      if (h == nullptr) {
        h = &heaps[made++];
        h->home.write(here);
        h->blocks.write(0);
        list.add(h);
      }
      RL_ASSERT(h->home.read() == here);
      RL_ASSERT(++h->owners == 1);
      h->blocks.write(h->blocks.read() + 1);
      --h->owners;
      list.give_back(h);
    }
  }

  void after() {
    int uses = 0;
    for (const unsigned home : {0U, 1U}) {
      while (heap* const h = list.claim(home)) uses += h->blocks.read();
    }
    RL_ASSERT(uses == 6);
  }
};

struct weak_add : good_claim {
  static constexpr auto add = relacy_sync::relaxed;
};
struct weak_walk : good_claim {
  static constexpr auto walk = relacy_sync::relaxed;
};
struct weak_claim : good_claim {
  static constexpr auto take = relacy_sync::relaxed;
};
struct weak_give_back : good_claim {
  static constexpr auto give = relacy_sync::relaxed;
};

constexpr model_case cases[] = {
    {"good_remote_free", random_search<remote_free<good_remote>>},
    {"good_claims", random_search<claims<good_claim>>},
    {"weak_push", random_search<remote_free<weak_push>>},
    {"weak_take", random_search<remote_free<weak_take>>},
    {"weak_add", random_search<claims<weak_add>>},
    {"weak_walk", random_search<claims<weak_walk>>},
    {"weak_claim", random_search<claims<weak_claim>>},
    {"weak_give_back", random_search<claims<weak_give_back>>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
