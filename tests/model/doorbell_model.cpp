// Models of runtime/lockfree/doorbell.hpp and of the protocol at its head: the shipped fences and steps must pass, each
// mutant must fail.
#include <array>
#include <cstdint>
#include <span>

#include "runtime/lockfree/doorbell.hpp"
#include "tests/model/model_main.hpp"

namespace {

using namespace remuda::model;
using remuda::detail::doorbell;
using remuda::detail::doorbell_orders;
using sync = relacy_sync;

using good = doorbell_orders<sync>;

/// The steps that users of a doorbell must take; each mutant leaves one out.
struct steps {
  static constexpr bool look_before_sleep = true;
  static constexpr bool compare_word = true;  // the kernel's step: it does not put to sleep whose word has changed
  static constexpr bool publish_before_ring = true;
  static constexpr bool wake_every_bit = true;
  static constexpr bool one_sleeper_a_bit = true;
};

/// Ringer r publishes the flags whose numbers are in ringers[r], in order, and rings after each. Sleeper s wants all
/// the flags in wants[s], in order. Whoever never wakes keeps the model from its end, which relacy reports. Members
/// that are neither atomics nor cells are plain: relacy's threads are fibers, and these must not add any order.
template <class Orders, class Steps, class Scenario>
struct bell_model
    : rl::test_suite<bell_model<Orders, Steps, Scenario>, Scenario::ringers.size() + Scenario::wants.size()> {
  static constexpr unsigned ringers = Scenario::ringers.size();
  static constexpr unsigned sleepers = Scenario::wants.size();
  static constexpr unsigned nothing = ~0U;

  doorbell<sync, Orders> bell;
  std::array<sync::atomic<bool>, 3> flags;
  std::array<bool, sleepers> asleep{};

  void thread(unsigned id) {
    if (id < ringers) {
      for (const unsigned flag : Scenario::ringers[id]) {
        if (flag != nothing) publish(flag);
      }
    } else {
      for (const unsigned flag : Scenario::wants[id - ringers]) {
        if (flag != nothing) await(id - ringers, flag);
      }
    }
  }

  void publish(unsigned flag) {
    // relaxed: the fences alone must do
    if (Steps::publish_before_ring) flags[flag].store(true, sync::relaxed);
    const std::uint32_t bits = bell.ring();
    for (unsigned s = 0; s < sleepers; ++s) {
      if ((bits & bit(s)) == 0) continue;
      asleep[s] = false;
      if (!Steps::wake_every_bit) break;
    }
    if (!Steps::publish_before_ring) flags[flag].store(true, sync::relaxed);
  }

  void await(unsigned me, unsigned flag) {
    while (!flags[flag].load(sync::relaxed)) {
      const std::uint32_t word = bell.announce(bit(me));
      if (Steps::look_before_sleep && flags[flag].load(sync::relaxed)) {
        bell.withdraw(bit(me));
        return;
      }
      sleep(me, word);
    }
  }

  /// As the kernel does it: the newest word is compared, and the sleep begins, as one step.
  void sleep(unsigned me, std::uint32_t expected) {
    auto& word = *static_cast<sync::atomic<std::uint32_t>*>(const_cast<void*>(bell.address()));
    const std::uint32_t now = word.fetch_or(0, sync::relaxed);
    if (Steps::compare_word && now != expected) return;
    asleep[me] = true;  // plain: nobody runs between it and the comparison
    while (asleep[me]) sync::pause();
  }

  static std::uint32_t bit(unsigned sleeper) { return Steps::one_sleeper_a_bit ? 1U << sleeper : 1U; }
};

using flag_list = std::array<unsigned, 2>;
constexpr unsigned no_flag = ~0U;

struct one_sleeper {
  static constexpr std::array<flag_list, 1> ringers{{{0, 1}}};
  static constexpr std::array<flag_list, 1> wants{{{0, 1}}};
};

struct two_ringers {
  static constexpr std::array<flag_list, 2> ringers{{{0, no_flag}, {1, no_flag}}};
  static constexpr std::array<flag_list, 1> wants{{{0, 1}}};
};

struct two_sleepers {
  static constexpr std::array<flag_list, 1> ringers{{{0, 1}}};
  static constexpr std::array<flag_list, 2> wants{{{0, no_flag}, {1, no_flag}}};
};

// Mutants of fences.
struct no_fence_after_announce : good {
  static void after_announce() {}
};
struct no_fence_before_ring : good {
  static void before_ring() {}
};

// Mutants of steps.
struct no_look_before_sleep : steps {
  static constexpr bool look_before_sleep = false;
};
struct no_comparison : steps {
  static constexpr bool compare_word = false;
};
struct ring_before_publication : steps {
  static constexpr bool publish_before_ring = false;
};
struct wakes_one_bit : steps {
  static constexpr bool wake_every_bit = false;
};
struct shared_bit : steps {
  static constexpr bool one_sleeper_a_bit = false;
};

template <class Orders, class Steps, class Scenario>
constexpr auto search = random_search<bell_model<Orders, Steps, Scenario>>;

constexpr model_case cases[] = {
    {"good_one_sleeper", search<good, steps, one_sleeper>},
    {"good_two_ringers", search<good, steps, two_ringers>},
    {"good_two_sleepers", search<good, steps, two_sleepers>},
    {"no_fence_after_announce", search<no_fence_after_announce, steps, one_sleeper>},
    {"no_fence_before_ring", search<no_fence_before_ring, steps, one_sleeper>},
    {"no_look_before_sleep", search<good, no_look_before_sleep, one_sleeper>},
    {"no_comparison", search<good, no_comparison, one_sleeper>},
    {"ring_before_publication", search<good, ring_before_publication, one_sleeper>},
    {"wakes_one_bit", search<good, wakes_one_bit, two_sleepers>},
    {"shared_bit", search<good, shared_bit, two_sleepers>},
};

}  // namespace

int main(int argc, char** argv) { return model_main(argc, argv, cases); }
