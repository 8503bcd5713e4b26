// Models of include/remuda/detail/completion.hpp: the shipped orders must pass, each mutant must fail.
//
// Every tagged order has a mutant for each of its duties: an acq_rel has one that keeps only the release and one that
// keeps only the acquire. What hands a block from thread to thread here is relaxed throughout, so that only the word
// orders anything. The models cannot see one thing: that the store of [A] itself comes late, after the address has
// already arrived (tests/model/sync_relacy.hpp: no load sees a store that has not run yet).
#include <array>
#include <cstddef>
#include <cstdint>

#include "remuda/detail/completion.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::completion;
using remuda::detail::completion_orders;
using remuda::detail::is_final;
using remuda::detail::status;

/// relacy knows C++11's rule that a compare-exchange fails with no stronger an order than it succeeds with, and
/// silently makes such a failure relaxed. Here it is followed by the acquire load of a value not older than the one
/// that it saw: a weak compare-exchange that failed a moment later, which is no behaviour that C++20 does not have.
struct sync : relacy_sync {
  template <class U>
  class atomic : public relacy_sync::atomic<U> {
   public:
    using relacy_sync::atomic<U>::atomic;
    bool compare_exchange_weak(U& expected, U value, memory_order success, memory_order failure) {
      if (relacy_sync::atomic<U>::compare_exchange_weak(expected, value, success, relaxed)) return true;
      if (failure != relaxed) expected = this->load(failure);
      return false;
    }
  };
};

using good = completion_orders<sync>;

struct node;

class link {
 public:
  void operator=(node* to) { to_.write(to); }
  node* get() const { return to_.read(); }

 private:
  sync::cell<node*> to_;
};

struct alignas(16) node {
  link next;
  sync::cell<int> content;
  bool pushed = false;  // plain, as are all members of models but cells: relacy's threads are fibers, and these must
  int returned = 0;     // not add any order
};

template <class Orders>
using word_of = completion<sync, node, Orders>;

constexpr int written = 42;

/// What a task is handed over with, and who may touch it: the closure is written before arm(), and used up by the one
/// who wins.
template <class Orders>
struct start_or_cancel : rl::test_suite<start_or_cancel<Orders>, 3> {
  word_of<Orders> word;
  sync::atomic<bool> handed_over;
  sync::cell<int> closure;
  int winners = 0;

  void thread(unsigned id) {
    if (id == 0) {
      closure.write(written);
      word.arm();
      handed_over.store(true, sync::relaxed);
      if (word.try_start()) use_up();
    } else if (handed_over.load(sync::relaxed)) {
      typename word_of<Orders>::closed list;
      if (id == 1 ? word.try_start() : word.try_cancel(list)) use_up();
    }
  }
  void after() { RL_ASSERT(winners == 1); }

  void use_up() {
    RL_ASSERT(++winners == 1);
    RL_ASSERT(closure.read() == written);
    closure.write(0);
  }
};

/// Who did not get to start a task knows what the winner did before, such as counting itself among those whom a
/// shutdown waits for.
template <class Orders>
struct second_start : rl::test_suite<second_start<Orders>, 2> {
  word_of<Orders> word;
  std::array<sync::cell<int>, 2> done_before;

  void thread(unsigned id) {
    done_before[id].write(written);
    if (!word.try_start()) RL_ASSERT(done_before[1 - id].read() == written);
  }
};

/// Who sees that a task is cancelled knows what the thread that cancelled it did before.
template <class Orders>
struct cancel_seen : rl::test_suite<cancel_seen<Orders>, 2> {
  word_of<Orders> word;
  sync::cell<int> done_before;

  void thread(unsigned id) {
    if (id == 0) {
      done_before.write(written);
      typename word_of<Orders>::closed list;
      RL_ASSERT(word.try_cancel(list));
    } else if (word.current() == status::cancelled) {
      RL_ASSERT(done_before.read() == written);
    }
  }
};

/// The ways in which a list is closed.
struct by_finish {
  template <class Model>
  static bool close(Model& m, typename Model::closed& list) {
    if (!m.word.try_start()) return false;
    m.outcome.write(written);
    list = m.word.finish(status::value);
    return true;
  }
};
struct by_cancel {
  template <class Model>
  static bool close(Model& m, typename Model::closed& list) {
    return m.word.try_cancel(list);
  }
};
/// Mutant: reads the list before it closes it.
struct by_two_steps {
  template <class Model>
  static bool close(Model& m, typename Model::closed& list) {
    const auto seen = m.word.load();
    if (!by_finish::close(m, list)) return false;
    list.newest = m.word.list_of(seen);
    return true;
  }
};

/// Two threads add callbacks, two each, while the list is closed: each one pushed comes back once, with its content,
/// the newest first; who is refused sees the outcome.
template <class Orders, class Close>
struct close_or_push : rl::test_suite<close_or_push<Orders, Close>, 3> {
  using closed = typename word_of<Orders>::closed;

  word_of<Orders> word;
  sync::cell<int> outcome;
  std::array<node, 4> nodes;

  void thread(unsigned id) {
    if (id == 0) {
      closed list{};
      RL_ASSERT(Close::close(*this, list));
      take(list.newest);
    } else {
      const std::size_t first = 2 * (id - 1);
      if (push(nodes[first])) push(nodes[first + 1]);
    }
  }
  void after() {
    for (const node& n : nodes) RL_ASSERT(n.returned == (n.pushed ? 1 : 0));
  }

  bool push(node& n) {
    n.content.write(written);
    n.pushed = word.push(&n);
    if (!n.pushed && word.current() == status::value) RL_ASSERT(outcome.read() == written);
    return n.pushed;
  }

  void take(node* newest) {
    for (node* n = newest; n != nullptr; n = n->next.get()) {
      RL_ASSERT(n->content.read() == written);
      RL_ASSERT(++n->returned == 1);
      const auto place = static_cast<std::size_t>(n - nodes.data());
      if (place % 2 == 0) RL_ASSERT(nodes[place + 1].returned == (nodes[place + 1].pushed ? 1 : 0));
    }
  }
};

/// The kernel's side of a futex: threads that sleep on a word. No order comes from it.
class sleepers {
 public:
  template <class Atomic>
  void sleep_if(Atomic& word, std::uint64_t expected) {
    // Relaxed, but never old: the kernel compares under a lock that the waker takes too. What relacy switches on is the
    // operation on the word, so nobody comes between the comparison and the sleep.
    if (static_cast<std::uint32_t>(word.fetch_add(0, sync::relaxed)) == static_cast<std::uint32_t>(expected)) sleep();
  }
  void sleep() { asleep_.park_current(rl::ctx(), false, false, false, RL_INFO); }
  void wake_all() { asleep_.unpark_all(rl::ctx(), RL_INFO); }

 private:
  rl::waitset<3> asleep_;
};

/// What a thread that wants the outcome does, as shipped and as mutants.
struct careful_waiter {
  static constexpr bool announces = true, compares = true;
};
struct silent_waiter : careful_waiter {
  static constexpr bool announces = false;
};
struct hasty_waiter : careful_waiter {
  static constexpr bool compares = false;
};

/// A thread waits for a task that another one runs, while a third adds a callback and then waits too: nobody sleeps for
/// ever (relacy reports that), and who wakes sees the outcome.
template <class Orders, class Waiter>
struct wait_or_finish : rl::test_suite<wait_or_finish<Orders, Waiter>, 3> {
  word_of<Orders> word;
  sync::cell<int> outcome;
  node callback;
  sleepers futex;

  void thread(unsigned id) {
    if (id == 0) {
      RL_ASSERT(word.try_start());
      outcome.write(written);
      const auto list = word.finish(status::value);
      if (list.waiters) futex.wake_all();
    } else {
      if (id == 2) word.push(&callback);
      wait();
      RL_ASSERT(outcome.read() == written);
    }
  }

  void wait() {
    using futex_word = sync::atomic<typename word_of<Orders>::word_type>;
    auto* const address = static_cast<futex_word*>(const_cast<void*>(word.address()));
    for (;;) {
      const auto seen = Waiter::announces ? word.announce_waiter() : word.load();
      if (is_final(word.status_of(seen))) return;
      if (Waiter::compares) {
        futex.sleep_if(*address, seen);
      } else {
        futex.sleep();
      }
    }
  }
};

/// Two threads want to move the value out: one may.
template <class Orders>
struct take_or_take : rl::test_suite<take_or_take<Orders>, 3> {
  word_of<Orders> word;
  sync::cell<int> value;
  int takers = 0;

  void thread(unsigned id) {
    if (id == 0) {
      RL_ASSERT(word.try_start());
      value.write(written);
      word.finish(status::value);
    } else {
      try_take();
    }
  }
  void after() {
    try_take();
    RL_ASSERT(takers == 1);
    RL_ASSERT(word.current() == status::taken);
  }

  void try_take() {
    if (!word.try_take()) return;
    RL_ASSERT(++takers == 1);
    RL_ASSERT(value.read() == written);
    value.write(0);
  }
};

/// Two threads put a ticket into a place that the completing thread looks at after finish(): it finds the ticket, or
/// who put it there sees that the task is complete, and in either case what the other side wrote before. The place
/// orders the ticket's content by itself, for it may be found before its recheck.
template <class Orders, bool Rechecks>
struct ticket_or_finish : rl::test_suite<ticket_or_finish<Orders, Rechecks>, 3> {
  struct ticket {
    sync::cell<int> content;
    bool fired = false;
    bool saw_final = false;
  };

  word_of<Orders> word;
  sync::cell<int> outcome;
  std::array<ticket, 2> tickets;
  std::array<sync::atomic<ticket*>, 2> places;

  void thread(unsigned id) {
    if (id == 0) {
      RL_ASSERT(word.try_start());
      outcome.write(written);
      word.finish(status::value);
      for (auto& place : places) {
        ticket* const found = place.load(sync::acquire);
        if (found == nullptr) continue;
        found->fired = true;
        RL_ASSERT(found->content.read() == written);
      }
    } else {
      ticket& mine = tickets[id - 1];
      mine.content.write(written);
      ticket* empty = nullptr;
      RL_ASSERT(places[id - 1].compare_exchange_strong(empty, &mine, sync::release, sync::relaxed));
      mine.saw_final = is_final(word.status_of(Rechecks ? word.recheck() : word.load()));
      if (mine.saw_final) RL_ASSERT(outcome.read() == written);
    }
  }
  void after() {
    for (const ticket& t : tickets) RL_ASSERT(t.fired || t.saw_final);
  }
};

// Mutants. "only" is the half of an acq_rel that is left.
struct weak_arm : good {
  static constexpr auto arm = sync::relaxed;
};
struct start_only_release : good {
  static constexpr auto start = sync::release;
};
struct start_only_acquire : good {
  static constexpr auto start = sync::acquire;
};
struct weak_refused : good {
  static constexpr auto refused = sync::relaxed;
};
struct cancel_only_release : good {
  static constexpr auto cancel = sync::release;
};
struct cancel_only_acquire : good {
  static constexpr auto cancel = sync::acquire;
};
struct finish_only_release : good {
  static constexpr auto finish = sync::release;
};
struct finish_only_acquire : good {
  static constexpr auto finish = sync::acquire;
};
struct weak_push : good {
  static constexpr auto push = sync::relaxed;
};
struct weak_take : good {
  static constexpr auto take = sync::relaxed;
};
struct weak_load : good {
  static constexpr auto load = sync::relaxed;
};
struct recheck_only_release : good {
  static constexpr auto recheck = sync::release;
};
struct recheck_only_acquire : good {
  static constexpr auto recheck = sync::acquire;
};

constexpr model_case cases[] = {
    {"good_start_or_cancel", random_search<start_or_cancel<good>>},
    {"good_second_start", full_search<second_start<good>>},
    {"good_cancel_seen", full_search<cancel_seen<good>>},
    {"good_finish_or_push", random_search<close_or_push<good, by_finish>>},
    {"good_cancel_or_push", random_search<close_or_push<good, by_cancel>>},
    {"good_wait_or_finish", random_search<wait_or_finish<good, careful_waiter>>},
    {"good_take_or_take", random_search<take_or_take<good>>},
    {"good_ticket_or_finish", random_search<ticket_or_finish<good, true>>},
    {"weak_arm", random_search<start_or_cancel<weak_arm>>},
    {"start_only_release", random_search<start_or_cancel<start_only_release>>},
    {"start_only_acquire", full_search<second_start<start_only_acquire>>},
    {"weak_refused", full_search<second_start<weak_refused>>},
    {"cancel_only_release", random_search<close_or_push<cancel_only_release, by_cancel>>},
    {"cancel_only_acquire", full_search<cancel_seen<cancel_only_acquire>>},
    {"finish_only_release", random_search<close_or_push<finish_only_release, by_finish>>},
    {"finish_only_acquire", random_search<wait_or_finish<finish_only_acquire, careful_waiter>>},
    {"weak_push", random_search<close_or_push<weak_push, by_finish>>},
    {"weak_take", random_search<take_or_take<weak_take>>},
    {"weak_load", random_search<wait_or_finish<weak_load, careful_waiter>>},
    {"recheck_only_release", random_search<ticket_or_finish<recheck_only_release, true>>},
    {"recheck_only_acquire", random_search<ticket_or_finish<recheck_only_acquire, true>>},
    {"list_read_before_finish", random_search<close_or_push<good, by_two_steps>>},
    {"wait_without_the_bit", random_search<wait_or_finish<good, silent_waiter>>},
    {"sleep_without_comparing", random_search<wait_or_finish<good, hasty_waiter>>},
    {"ticket_without_recheck", random_search<ticket_or_finish<good, false>>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
