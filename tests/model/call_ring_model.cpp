// Models of runtime/lockfree/call_ring.hpp: the shipped orders and steps must pass, each mutant must fail. Every tagged
// order has its mutant.
//
// The CASes of withdraw() and take() are relaxed and stay so under every mutant of an order; what they are good for is
// shown by the mutant whose CAS is two steps.
#include <array>
#include <cstdint>

#include "runtime/lockfree/call_ring.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::call_look;
using remuda::detail::call_ring_caller;
using remuda::detail::call_ring_orders;
using remuda::detail::call_ring_server;
using remuda::detail::slot_state;
using sync = relacy_sync;

using good = call_ring_orders<sync>;

/// The steps that users of a ring must take; each mutant leaves one out.
struct steps {
  static constexpr bool sender_waits_for_room = true;
  static constexpr bool receiver_waits_for_the_answer_of_a_withdrawn_call = true;
  static constexpr bool receiver_reads_before_it_releases = true;
  static constexpr bool server_writes_before_it_finishes = true;
};

template <class Sync>
struct slot {
  typename Sync::template atomic<std::uint32_t> word;
  typename Sync::template cell<int> body;
};

constexpr int skipped = -1;
constexpr int argument(unsigned call) { return 10 + static_cast<int>(call); }
constexpr int result(int argument) { return 100 + argument; }

/// A sender, a server, a receiver and a withdrawer, over `Calls` calls in a ring of `Capacity`. Each call is either run
/// once or withdrawn, and is received once, in its order, with its result and what the sender noted about it.
/// Members that are neither atomics nor cells are plain: relacy's threads are fibers, and these must not add any order.
template <class Sync, class Orders, class Steps = steps, unsigned Capacity = 2, unsigned Calls = 3>
struct traffic : rl::test_suite<traffic<Sync, Orders, Steps, Capacity, Calls>, 4> {
  std::array<slot<Sync>, Capacity> slots;
  call_ring_caller<Sync, slot<Sync>, Orders> caller{slots.data(), Capacity};
  call_ring_server<Sync, slot<Sync>, Orders> server{slots.data(), Capacity};
  std::array<typename Sync::template cell<int>, Calls> notes;
  std::array<int, Calls> runs{};
  std::array<bool, Calls> withdrawn{};

  void thread(unsigned id) {
    if (id == 0) send();
    if (id == 1) serve();
    if (id == 2) receive();
    if (id == 3) withdraw();
  }

  void after() {
    for (unsigned call = 0; call < Calls; ++call) RL_ASSERT(runs[call] + withdrawn[call] == 1);
    RL_ASSERT(caller.head() == Calls && caller.tail() == Calls && server.position() == Calls);
  }

  void send() {
    for (unsigned call = 0; call < Calls; ++call) {
      while (Steps::sender_waits_for_room && caller.full()) Sync::pause();
      caller.next().body.write(argument(call));
      notes[call].write(argument(call));
      RL_ASSERT(caller.publish() == call);
    }
  }

  void serve() {
    while (server.position() != Calls) {
      auto* const taken = server.take([](slot<Sync>& s) {
        s.body.read();
        s.body.write(skipped);
      });
      if (taken == nullptr) {
        Sync::pause();
        continue;
      }
      const auto call = server.position();
      RL_ASSERT(++runs[call] == 1);
      const int given = taken->body.read();
      RL_ASSERT(given == argument(call));
      if (Steps::server_writes_before_it_finishes) taken->body.write(result(given));
      server.finish();
      if (!Steps::server_writes_before_it_finishes) taken->body.write(result(given));
    }
  }

  void receive() {
    for (unsigned call = 0; call < Calls;) {
      RL_ASSERT(caller.tail() == call);
      const call_look look = caller.look();
      RL_ASSERT(look != call_look::corrupt);
      if (look != call_look::done) {
        if (!Steps::receiver_waits_for_the_answer_of_a_withdrawn_call &&
            caller.state_at(call) == slot_state::withdrawn) {
          caller.release();
          ++call;
        }
        Sync::pause();
        continue;
      }
      auto& front = caller.front();
      if (!Steps::receiver_reads_before_it_releases) caller.release();
      const int got = front.body.read();
      const int note = notes[call].read();
      RL_ASSERT(note == argument(call));
      RL_ASSERT(got == (withdrawn[call] ? skipped : result(note)));
      if (Steps::receiver_reads_before_it_releases) caller.release();
      ++call;
    }
  }

  void withdraw() {
    for (unsigned call = 0; call < Calls; ++call) {
      // plain, and written together with the CAS: nothing else can run between them
      if (caller.withdraw(call)) withdrawn[call] = true;
    }
  }
};

/// A thread watches what becomes of the calls while one slot goes through its laps.
template <class Orders>
struct watched : rl::test_suite<watched<Orders>, 3> {
  std::array<slot<sync>, 1> slots;
  call_ring_caller<sync, slot<sync>, Orders> caller{slots.data(), 1};
  call_ring_server<sync, slot<sync>, Orders> server{slots.data(), 1};

  void thread(unsigned id) {
    if (id == 0) {
      for (unsigned call = 0; call < 2; ++call) {
        while (caller.full()) sync::pause();
        caller.publish();
      }
    } else if (id == 1) {
      for (unsigned call = 0; call < 2; ++call) {
        while (server.take() == nullptr) sync::pause();
        server.finish();
        while (caller.look() != call_look::done) sync::pause();  // here the server's thread receives too
        caller.release();
      }
    } else {
      for (unsigned look = 0; look < 3; ++look) RL_ASSERT(caller.state_at(look % 2) != slot_state::corrupt);
    }
  }
};

/// A worker that answers what it was not asked: the receiver passes only what was sent, and then reads the sender's
/// notes in order. What it finds corrupt ends it.
template <class Sync, class Orders>
struct hostile : rl::test_suite<hostile<Sync, Orders>, 3> {
  static constexpr unsigned calls = 2;
  std::array<slot<Sync>, calls> slots;
  call_ring_caller<Sync, slot<Sync>, Orders> caller{slots.data(), calls};
  std::array<typename Sync::template cell<int>, calls> notes;
  unsigned begun = 0;

  void thread(unsigned id) {
    if (id == 0) {
      for (unsigned call = 0; call < calls; ++call) {
        notes[call].write(argument(call));
        ++begun;
        caller.publish();
      }
    } else if (id == 1) {
      for (auto& s : slots) s.word.store(static_cast<std::uint32_t>(slot_state::done), Sync::relaxed);
    } else {
      for (unsigned look = 0; look < 4; ++look) {
        const call_look seen = caller.look();
        if (seen == call_look::corrupt) return;
        if (seen == call_look::nothing) continue;
        const auto call = caller.tail();
        RL_ASSERT(call < begun);
        RL_ASSERT(notes[call].read() == argument(call));
        caller.release();
        if (caller.tail() == calls) return;
      }
    }
  }
};

// Mutants of orders.
struct weak_publish_head : good {
  static constexpr auto publish_head = sync::relaxed;
};
struct weak_publish_word : good {
  static constexpr auto publish_word = sync::relaxed;
};
struct weak_full_tail : good {
  static constexpr auto full_tail = sync::relaxed;
};
struct weak_look_word : good {
  static constexpr auto look_word = sync::relaxed;
};
struct weak_look_head : good {
  static constexpr auto look_head = sync::relaxed;
};
struct weak_release_tail : good {
  static constexpr auto release_tail = sync::relaxed;
};
struct weak_state_head : good {
  static constexpr auto state_head = sync::relaxed;
};
struct weak_state_word : good {
  static constexpr auto state_word = sync::relaxed;
};
struct weak_take_word : good {
  static constexpr auto take_word = sync::relaxed;
};
struct weak_finish_word : good {
  static constexpr auto finish_word = sync::relaxed;
};
struct weak_skip_word : good {
  static constexpr auto skip_word = sync::relaxed;
};

// Mutants of steps.
struct sender_does_not_wait : steps {
  static constexpr bool sender_waits_for_room = false;
};
struct receiver_passes_withdrawn : steps {
  static constexpr bool receiver_waits_for_the_answer_of_a_withdrawn_call = false;
};
struct receiver_reads_late : steps {
  static constexpr bool receiver_reads_before_it_releases = false;
};
struct server_writes_late : steps {
  static constexpr bool server_writes_before_it_finishes = false;
};

// Mutants of the ring itself, made with atomics that do something else.

/// Server and withdrawer look and then write, as two steps.
struct torn_cas : sync {
  template <class U>
  struct atomic : sync::atomic<U> {
    using sync::atomic<U>::atomic;
    bool compare_exchange_strong(U& expected, U value, memory_order, memory_order) {
      const U found = this->load(acquire);
      if (found != expected) return false;
      this->store(value, release);
      return true;
    }
  };
};

/// The order that marks the site of head which a mutant changes; stronger than the shipped one.
struct marked_publish : good {
  static constexpr auto publish_head = sync::seq_cst;
};
struct marked_look : good {
  static constexpr auto look_head = sync::seq_cst;
};

/// The sender moves head after it has written the word. Only the sender writes ready.
struct late_head : sync {
  template <class U>
  class atomic : public sync::atomic<U> {
   public:
    using sync::atomic<U>::atomic;
    void store(U value, memory_order order) {
      if (order == seq_cst) {
        late_ = this;
        late_value_ = value;
        return;
      }
      sync::atomic<U>::store(value, order);
      if constexpr (sizeof(U) == sizeof(std::uint32_t)) {
        if ((value & 7) == static_cast<std::uint32_t>(slot_state::ready)) atomic<std::uint64_t>::catch_up();
      }
    }
    static void catch_up() { late_->sync::template atomic<U>::store(late_value_, release); }

   private:
    static inline atomic* late_;
    static inline U late_value_;
  };
};

/// The receiver believes the word, whether the call was sent or not.
struct trusting : sync {
  template <class U>
  struct atomic : sync::atomic<U> {
    using sync::atomic<U>::atomic;
    U load(memory_order order) const {
      const U value = sync::atomic<U>::load(order);
      return order == seq_cst ? ~U{0} : value;
    }
  };
};

template <class Orders, class Steps = steps, unsigned Capacity = 2>
constexpr auto search = random_search<traffic<sync, Orders, Steps, Capacity>>;

constexpr model_case cases[] = {
    {"good_traffic", search<good>},
    {"good_traffic_in_one_slot", search<good, steps, 1>},
    {"good_watched", random_search<watched<good>>},
    {"good_hostile", random_search<hostile<sync, good>>},
    {"weak_publish_head", random_search<hostile<sync, weak_publish_head>>},
    {"weak_publish_word", search<weak_publish_word>},
    {"weak_full_tail", search<weak_full_tail>},
    {"weak_look_word", search<weak_look_word>},
    {"weak_look_head", random_search<hostile<sync, weak_look_head>>},
    {"weak_release_tail", search<weak_release_tail>},
    {"weak_state_head", random_search<watched<weak_state_head>>},
    {"weak_state_word", random_search<watched<weak_state_word>>},
    {"weak_take_word", search<weak_take_word>},
    {"weak_finish_word", search<weak_finish_word>},
    {"weak_skip_word", search<weak_skip_word>},
    {"sender_does_not_wait", search<good, sender_does_not_wait>},
    {"receiver_passes_withdrawn", search<good, receiver_passes_withdrawn>},
    {"receiver_reads_late", search<good, receiver_reads_late>},
    {"server_writes_late", search<good, server_writes_late>},
    {"torn_cas", random_search<traffic<torn_cas, good>>},
    {"late_head", random_search<traffic<late_head, marked_publish>>},
    {"trusting", random_search<hostile<trusting, marked_look>>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
