// Model of runtime/lockfree/work_deque.hpp: the shipped orders must pass, each mutant must fail.
//
// A mutant takes an order one step down; anything weaker shows at least the same faults. Three tagged orders have none,
// because relacy cannot tell them from weaker ones (tests/model/sync_relacy.hpp says what it does not model):
// - push_top [T1] and its partner in steal_take [T5] keep a thief's slot read before the owner's next write of that
// slot.
//   Breaking that takes a load that sees a store of the future. (steal_take has a mutant, for its other duty.)
// - pop_take [T3] and steal_top [T4] put bottom in the single order. relacy's seq_cst loads of bottom run in program
//   order and are never older than the last store, so for it they are there without help.
// The good cases therefore rest, for these three, on the argument at their tags. All other duties rest on the model: a
// seq_cst load of relacy may see the past of a variable as soon as either side of the pair is weaker than seq_cst.
#include <array>
#include <cstddef>

#include "runtime/lockfree/work_deque.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::steal_outcome;
using remuda::detail::work_deque;
using remuda::detail::work_deque_orders;

using good = work_deque_orders<relacy_sync>;

struct item {
  relacy_sync::cell<int> content;
  int times_taken = 0;  // plain: relacy's threads are fibers, and this one must not add any order

  void take(int expected) {
    RL_ASSERT(content.read() == expected);
    content.write(-1);  // a second taker races with this
    RL_ASSERT(++times_taken == 1);
  }
};

/// The items of a model, numbered in the order in which the owner pushes them.
template <std::size_t Count>
struct items {
  std::array<item, Count> all;
  std::size_t pushed = 0;

  template <class Deque>
  void push_next(Deque& deque) {
    item& next = all[pushed];
    next.content.write(static_cast<int>(pushed));
    ++pushed;
    deque.push(&next);
  }

  void take(item* taken) {
    RL_ASSERT(taken != nullptr);
    taken->take(static_cast<int>(taken - all.data()));
  }

  template <class Deque>
  bool pop(Deque& deque) {
    item* const popped = deque.pop();
    if (popped != nullptr) take(popped);
    return popped != nullptr;
  }

  template <class Deque>
  void steal(Deque& deque) {
    const auto result = deque.steal();
    RL_ASSERT((result.outcome == steal_outcome::stolen) == (result.item != nullptr));
    if (result.item != nullptr) take(result.item);
  }

  /// After all threads: what nobody took is still there, and all that was pushed is taken once.
  template <class Deque>
  void check_all_taken(Deque& deque) {
    while (pop(deque)) {
    }
    RL_ASSERT(deque.size_approx() == 0);
    for (std::size_t i = 0; i < pushed; ++i) RL_ASSERT(all[i].times_taken == 1);
  }
};

/// An owner and two thieves. With a capacity of 1 the ring grows twice, with one of 4 its slots come round again.
template <class Orders, std::size_t Capacity>
struct owner_and_thieves : rl::test_suite<owner_and_thieves<Orders, Capacity>, 3> {
  work_deque<relacy_sync, item, Orders> deque{Capacity};
  items<6> tasks;

  void thread(unsigned id) {
    if (id == 0) {
      tasks.push_next(deque);
      tasks.push_next(deque);
      tasks.push_next(deque);
      tasks.pop(deque);
      tasks.pop(deque);
      tasks.push_next(deque);
      tasks.pop(deque);
      tasks.push_next(deque);
      tasks.push_next(deque);
      tasks.pop(deque);
    } else {
      for (int turn = 0; turn < 3; ++turn) tasks.steal(deque);
    }
  }
  void after() { tasks.check_all_taken(deque); }
};

/// Small enough for a search of every interleaving: the owner lowers bottom past one item while a thief goes for it and
/// for the one before.
template <class Orders>
struct pop_against_steals : rl::test_suite<pop_against_steals<Orders>, 2> {
  work_deque<relacy_sync, item, Orders> deque{2};
  items<2> tasks;

  void before() {
    tasks.push_next(deque);
    tasks.push_next(deque);
  }
  void thread(unsigned id) {
    if (id == 0) {
      tasks.pop(deque);
    } else {
      tasks.steal(deque);
      tasks.steal(deque);
    }
  }
  void after() { tasks.check_all_taken(deque); }
};

/// A worker pushes and then asks who sleeps, another announces its sleep and then looks once more. The pop before
/// leaves a bottom that was put back with a relaxed store. Needs the full search: a random one hardly ever runs one
/// thread to its end before the other starts.
template <class Orders, bool PusherFence = true, bool SleeperFence = true>
struct sleeper : rl::test_suite<sleeper<Orders, PusherFence, SleeperFence>, 2> {
  work_deque<relacy_sync, item, Orders> deque{1};
  items<2> tasks;
  relacy_sync::atomic<int> sleeping{0};
  bool pusher_wakes = false;
  bool sleeper_stays_up = false;

  void thread(unsigned id) {
    if (id == 0) {
      tasks.push_next(deque);
      tasks.pop(deque);
      tasks.push_next(deque);
      if (PusherFence) relacy_sync::full_fence();
      pusher_wakes = sleeping.load(relacy_sync::relaxed) != 0;
    } else {
      sleeping.store(1, relacy_sync::relaxed);
      if (SleeperFence) relacy_sync::full_fence();
      sleeper_stays_up = deque.maybe_nonempty();
    }
  }
  void after() {
    RL_ASSERT(pusher_wakes || sleeper_stays_up);
    tasks.check_all_taken(deque);
  }
};

struct unpublished_push_bottom : good {
  static constexpr auto push_bottom = relacy_sync::relaxed;
};
struct weak_grow_ring : good {
  static constexpr auto grow_ring = relacy_sync::relaxed;
};
struct weak_pop_bottom : good {
  static constexpr auto pop_bottom = relacy_sync::release;
};
struct weak_pop_top : good {
  static constexpr auto pop_top = relacy_sync::acquire;
};
struct weak_steal_bottom : good {
  static constexpr auto steal_bottom = relacy_sync::acquire;
};
struct weak_steal_ring : good {
  static constexpr auto steal_ring = relacy_sync::relaxed;
};
struct weak_steal_take : good {
  static constexpr auto steal_take = relacy_sync::acq_rel;
};

template <class Orders>
using growing = owner_and_thieves<Orders, 1>;
template <class Orders>
using wrapping = owner_and_thieves<Orders, 4>;

constexpr model_case cases[] = {
    {"good_growing", random_search<growing<good>>},
    {"good_wrapping", random_search<wrapping<good>>},
    {"good_pop_against_steals", full_search<pop_against_steals<good>>},
    {"good_sleeper", full_search<sleeper<good>>},
    {"push_without_fence", full_search<sleeper<good, false>>},
    {"unpublished_push_bottom", random_search<growing<unpublished_push_bottom>>},
    {"weak_grow_ring", random_search<growing<weak_grow_ring>>},
    {"weak_pop_bottom", full_search<pop_against_steals<weak_pop_bottom>>},
    {"weak_pop_top", full_search<pop_against_steals<weak_pop_top>>},
    {"weak_steal_bottom", full_search<pop_against_steals<weak_steal_bottom>>},
    {"weak_steal_ring", random_search<growing<weak_steal_ring>>},
    {"weak_steal_take", full_search<pop_against_steals<weak_steal_take>>},
    {"look_without_fence", full_search<sleeper<good, true, false>>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
