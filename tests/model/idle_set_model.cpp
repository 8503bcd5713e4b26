// Models of runtime/lockfree/idle_set.hpp and of the protocol at its head, with queues that are only counters: the
// shipped orders and steps must pass, each mutant must fail.
//
// Lengthy tasks are what shows a wake-up that was lost for a while only: without them the worker that should have woken
// another runs the task itself in the end. A mutant of close() goes straight to relaxed, since nothing between that and
// seq_cst can be told apart here (its tag says why it stays).
#include <array>
#include <cstdint>

#include "runtime/lockfree/idle_set.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::idle_set;
using remuda::detail::idle_set_orders;
using sync = relacy_sync;

using good = idle_set_orders<sync>;

/// The steps that users of an idle_set must take; each mutant leaves one out.
struct steps {
  static constexpr bool fence_after_push = true;
  static constexpr bool fence_before_look = true;
  static constexpr bool look_before_sleep = true;
  static constexpr bool last_searcher_looks = true;
  static constexpr bool pick_after_reserve = true;
  static constexpr bool wait_if_reserved = true;
  static constexpr bool close_wakes_one = true;
  static constexpr bool look_before_end = true;
};

enum task : unsigned {
  brief,     // runs at once
  spawning,  // submits a brief one
  lengthy,   // does not end before the model does
  task_kinds
};

/// Where a worker sleeps. Members that are neither atomics nor cells are plain: relacy's threads are fibers, and these
/// must not add any order.
template <unsigned Threads>
struct seat {
  sync::atomic<bool> token;
  sync::cell<bool> woken;  // the sleeper's until it announces itself, then the waker's until the token is put
  rl::waitset<Threads> bed;
  bool blocked = false;
  bool in_task = false;
};

/// A pool: threads that submit tasks, perhaps one that closes the pool, and the workers.
///
/// Without a closer it runs until every thread has ended, sleeps, or is in a lengthy task. If then a worker sleeps, no
/// work is left and all of it was run. With one, a worker ends the pool, and everything was run that was submitted by a
/// thread that did not see it closing.
template <class Orders, class Steps, class Scenario>
struct pool : rl::test_suite<pool<Orders, Steps, Scenario>,
                             Scenario::submitters.size() + Scenario::closers + Scenario::workers> {
  static constexpr unsigned submitters = Scenario::submitters.size();
  static constexpr unsigned workers = Scenario::workers;
  static constexpr unsigned threads = submitters + Scenario::closers + workers;

  idle_set<sync, Orders> idle{workers};
  std::array<sync::atomic<unsigned>, task_kinds> queues;
  std::array<seat<threads>, workers> seats;
  sync::atomic<bool> ended;
  sync::cell<bool> order_to_end;
  unsigned awake = threads;
  bool quiet = false;
  unsigned accepted = 0;
  unsigned run = 0;
  unsigned ends = 0;

  void before() {
    for (unsigned i = 0; i < Scenario::asleep; ++i) announce(i, false);
  }

  void thread(unsigned id) {
    if (id < submitters) {
      for (const task t : Scenario::submitters[id]) {
        if (t != task_kinds) submit(t, workers);
      }
    } else if (id < submitters + Scenario::closers) {
      close();
    } else {
      work(id - submitters - Scenario::closers);
    }
    retire();
  }

  void after() {
    unsigned sleepers = 0;
    for (const auto& s : seats) sleepers += s.blocked && !s.in_task ? 1 : 0;
    if (Scenario::closers != 0) {
      RL_ASSERT(ends == 1);
      RL_ASSERT(run >= accepted);
      return;
    }
    const auto word = idle.look();
    RL_ASSERT(idle.sleeping(word) == sleepers);
    RL_ASSERT(idle.searching(word) == 0);
    if (sleepers > 0) RL_ASSERT(!work_visible() && run == accepted);
    for (unsigned i = 0; i < sleepers; ++i) {
      RL_ASSERT(idle.reserve_any());
      auto& picked = seats[idle.pick(workers)];
      RL_ASSERT(picked.blocked && !picked.in_task);
      picked.blocked = false;
    }
    RL_ASSERT(!idle.reserve_any());
  }

  /// `near` = workers: from outside the pool. A worker takes the free side of the asymmetric fence first, which in the
  /// model is as full as the other, and is content when nobody sleeps.
  void submit(task t, unsigned near) {
    queues[t].fetch_add(1, sync::release);
    if (Steps::fence_after_push) sync::full_fence();
    auto word = idle.look();
    if (near != workers && idle.sleeping(word) != 0) {
      sync::full_fence();
      word = idle.look();
    }
    // A task may submit as long as it runs; who is outside and sees that the pool closes takes its task back.
    if (near == workers && idle.closing(word)) return;
    ++accepted;
    if (idle.wake_wanted(word) && idle.reserve()) wake(idle.pick(near));
  }

  void close() {
    order_to_end.write(true);
    const auto word = idle.close();
    if (Steps::close_wakes_one && idle.all_sleep(word) && idle.reserve_any()) wake(idle.pick(workers));
  }

  void work(unsigned me) {
    bool searching = false;
    if (me < Scenario::asleep) {
      if (!park(me)) return;
      searching = true;
    }
    for (;;) {
      task found = take();
      if (found == task_kinds && !searching && idle.try_search(Scenario::searchers)) {
        searching = true;
        found = take();
      }
      if (found == task_kinds) {
        if (!sleep(me, searching)) return;
        searching = true;
        continue;
      }
      if (searching) {
        searching = false;
        const bool look = idle.stop_searching() && Steps::last_searcher_looks;
        if (look && work_visible() && idle.reserve()) wake(idle.pick(me));
      }
      if (!execute(found, me)) return;
    }
  }

  /// May miss a task.
  task take() {
    for (unsigned t = 0; t < task_kinds; ++t) {
      unsigned left = queues[t].load(sync::relaxed);
      while (left != 0) {
        if (queues[t].compare_exchange_weak(left, left - 1, sync::acq_rel, sync::relaxed)) return static_cast<task>(t);
      }
    }
    return task_kinds;
  }

  bool work_visible() const {
    if (Steps::fence_before_look) sync::full_fence();
    for (const auto& q : queues) {
      if (q.load(sync::relaxed) != 0) return true;
    }
    return false;
  }

  bool execute(task t, unsigned me) {
    if (t == spawning) submit(brief, me);
    ++run;
    if (t != lengthy) return true;
    seats[me].in_task = true;
    return block(me);
  }

  auto announce(unsigned me, bool searching) {
    seats[me].woken.write(false);
    return idle.announce(me, searching);
  }

  /// True: awake and searching. False: the end.
  bool sleep(unsigned me, bool searching) {
    const auto word = announce(me, searching);
    const bool may_end = idle.closing(word) && idle.all_sleep(word);
    if ((may_end ? Steps::look_before_end : Steps::look_before_sleep) && work_visible()) {
      if (idle.reserve_any()) {
        const unsigned picked = Steps::pick_after_reserve ? idle.pick(me) : me;
        if (picked == me) return true;
        wake(picked);
      } else if (!Steps::wait_if_reserved) {
        return true;
      }
    } else if (may_end) {
      end();
      return false;
    }
    return park(me);
  }

  void end() {
    RL_ASSERT(order_to_end.read());
    if (ended.exchange(true, sync::acq_rel)) return;  // a worker woken for nothing meanwhile ends up here too
    ++ends;
    for (auto& s : seats) unpark(s);
  }

  void wake(unsigned worker) {
    auto& s = seats[worker];
    RL_ASSERT(!s.woken.read());
    s.woken.write(true);
    RL_ASSERT(!unpark(s) || ends > 0);
  }

  bool unpark(seat<threads>& s) {
    const bool had = s.token.exchange(true, sync::release);
    if (s.blocked) {
      RL_ASSERT(!s.in_task);
      s.blocked = false;
      s.bed.unpark_one(rl::ctx(), RL_INFO);
      ++awake;
    }
    return had;
  }

  bool park(unsigned me) {
    while (!seats[me].token.exchange(false, sync::acquire)) {
      if (!block(me)) return false;
    }
    if (ended.load(sync::acquire)) return false;
    RL_ASSERT(seats[me].woken.read());
    return true;
  }

  /// relacy switches threads on operations on atomics only, so what follows an operation belongs to it.
  bool block(unsigned me) {
    seats[me].blocked = true;
    retire();
    if (!quiet) seats[me].bed.park_current(rl::ctx(), false, false, false, RL_INFO);
    return !quiet;
  }

  void retire() {
    if (quiet || --awake != 0) return;
    quiet = true;
    for (auto& s : seats) {
      if (s.blocked) s.bed.unpark_one(rl::ctx(), RL_INFO);
    }
  }
};

using script = std::array<task, 3>;  // task_kinds: nothing

struct scenario {
  static constexpr unsigned closers = 0;
  static constexpr unsigned asleep = 0;  // so many workers, the first ones, sleep already
  static constexpr unsigned searchers = 1;
};
struct one_worker : scenario {
  static constexpr std::array<script, 1> submitters{{{brief, brief, task_kinds}}};
  static constexpr unsigned workers = 1;
};
struct three_workers : scenario {
  static constexpr std::array<script, 2> submitters{{{spawning, lengthy, task_kinds}, {brief, lengthy, task_kinds}}};
  static constexpr unsigned workers = 3;
  static constexpr unsigned searchers = 2;
};
struct from_sleep : scenario {
  static constexpr std::array<script, 1> submitters{{{lengthy, brief, lengthy}}};
  static constexpr unsigned workers = 3;
  static constexpr unsigned asleep = 2;
};
struct closing : scenario {
  static constexpr std::array<script, 1> submitters{{{spawning, brief, task_kinds}}};
  static constexpr unsigned closers = 1;
  static constexpr unsigned workers = 2;
};
struct closing_in_sleep : closing {
  static constexpr std::array<script, 1> submitters{{{brief, task_kinds, task_kinds}}};
  static constexpr unsigned asleep = 2;
};

/// Fails if a picker has to wait. With nobody else about to claim bits it must not: a bit is there before it is
/// counted, and who reserves sees it.
struct no_waiting : relacy_sync {
  static void pause() { RL_ASSERT(false); }
};

/// Mutant: the only sleeper's bit is set after it is counted.
struct late_bit : no_waiting {
  template <class U>
  class atomic : public relacy_sync::atomic<U> {
   public:
    U fetch_or(U value, memory_order) {
      map_ = this;
      bit_ = value;
      return 0;
    }
    U fetch_add(U value, memory_order order) {
      const U before = relacy_sync::atomic<U>::fetch_add(value, order);
      map_->relacy_sync::template atomic<U>::fetch_or(bit_, release);
      return before;
    }

   private:
    static inline atomic* map_;
    static inline U bit_;
  };
};

/// One goes to sleep, and is reserved and picked by one who has looked at nothing before and asks for nobody.
template <class Sync, class Orders>
struct one_waker : rl::test_suite<one_waker<Sync, Orders>, 2> {
  idle_set<Sync, Orders> idle{2};

  void thread(unsigned id) {
    if (id == 0) {
      idle.announce(0, false);
    } else if (idle.reserve_any()) {
      RL_ASSERT(idle.pick(2) == 0);
    }
  }
};

// Mutants of orders.
struct weak_set_bit : good {
  static constexpr auto set_bit = sync::relaxed;
};
struct weak_announce : good {
  static constexpr auto announce = sync::acquire;
};
struct weak_reserve : good {
  static constexpr auto reserve = sync::relaxed;
};
struct weak_clear_bit : good {
  static constexpr auto clear_bit = sync::relaxed;
};
struct weak_close : good {
  static constexpr auto close = sync::relaxed;
};

// Mutants of steps.
struct no_fence_after_push : steps {
  static constexpr bool fence_after_push = false;
};
struct no_fence_before_look : steps {
  static constexpr bool fence_before_look = false;
};
struct no_look_before_sleep : steps {
  static constexpr bool look_before_sleep = false;
};
struct no_look_of_last_searcher : steps {
  static constexpr bool last_searcher_looks = false;
};
struct no_pick_after_reserve : steps {
  static constexpr bool pick_after_reserve = false;
};
struct no_wait_if_reserved : steps {
  static constexpr bool wait_if_reserved = false;
};
struct no_wake_at_close : steps {
  static constexpr bool close_wakes_one = false;
};
struct no_look_before_end : steps {
  static constexpr bool look_before_end = false;
};

template <class Orders, class Steps, class Scenario>
constexpr auto search = random_search<pool<Orders, Steps, Scenario>, 500'000>;

constexpr model_case cases[] = {
    {"good_one_worker", search<good, steps, one_worker>},
    {"good_three_workers", search<good, steps, three_workers>},
    {"good_from_sleep", search<good, steps, from_sleep>},
    {"good_closing", search<good, steps, closing>},
    {"good_closing_in_sleep", search<good, steps, closing_in_sleep>},
    {"good_one_waker", full_search<one_waker<no_waiting, good>>},
    {"weak_set_bit", search<weak_set_bit, steps, closing_in_sleep>},
    {"weak_announce", full_search<one_waker<no_waiting, weak_announce>>},
    {"weak_reserve", full_search<one_waker<no_waiting, weak_reserve>>},
    {"weak_clear_bit", search<weak_clear_bit, steps, closing_in_sleep>},
    {"weak_close", search<weak_close, steps, closing>},
    {"bit_after_count", full_search<one_waker<late_bit, good>>},
    {"no_fence_after_push", search<good, no_fence_after_push, from_sleep>},
    {"no_fence_before_look", search<good, no_fence_before_look, from_sleep>},
    {"no_look_before_sleep", search<good, no_look_before_sleep, one_worker>},
    {"no_look_of_last_searcher", search<good, no_look_of_last_searcher, from_sleep>},
    {"no_pick_after_reserve", search<good, no_pick_after_reserve, from_sleep>},
    {"no_wait_if_reserved", search<good, no_wait_if_reserved, three_workers>},
    {"no_wake_at_close", search<good, no_wake_at_close, closing_in_sleep>},
    {"no_look_before_end", search<good, no_look_before_end, closing_in_sleep>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
