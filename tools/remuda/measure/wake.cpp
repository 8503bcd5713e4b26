// Wake-up by futex: what the waker pays, and how late the sleeper runs. The longer the sleep, the deeper the CPU sleeps
// too, and the longer it takes to come back.
#include <cstdint>

#include "remuda/config.hpp"
#include "runtime/os/futex.hpp"
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {
namespace {

using sync = detail::std_sync;

struct alignas(2 * cache_line) word {
  detail::atomic<std::uint32_t> value{0};
};

// Short times are spent awake, as a scheduler's sleep would make them longer.
void pass(nanoseconds time) {
  constexpr nanoseconds worth_a_sleep{500'000};
  if (time >= worth_a_sleep) {
    std::this_thread::sleep_for(time);
  } else {
    for (const auto end = clock::now() + time; clock::now() < end;) sync::pause();
  }
}

}  // namespace

void measure_wake(cpu_pair cpus, nanoseconds asleep, const limit& until, samples& calls, samples& wakes) {
  word bell;       // the number of the wake-up; changed by the waker
  word goes_down;  // of the wake-up that the sleeper is about to wait for
  word came_up;    // of the last one that it saw, and when
  detail::atomic<clock::rep> ran_at{0};

  const auto sleep = [&](const flag& ended) {
    for (std::uint32_t turn = 1;; ++turn) {
      goes_down.value.store(turn, sync::release);
      while (bell.value.load(sync::acquire) == turn - 1) os::futex_wait(&bell.value, turn - 1);
      ran_at.store(clock::now().time_since_epoch().count(), sync::relaxed);  // relaxed: came_up publishes it
      came_up.value.store(turn, sync::release);
      if (ended.load(sync::acquire)) return;
    }
  };
  const auto release = [&] {
    bell.value.fetch_add(1, sync::release);
    os::futex_wake(&bell.value, 1);
  };
  on_cpu(cpus.first, [&] {
    const partner other(cpus.second, sleep, release);
    constexpr std::uint32_t warm_up = 2;
    constexpr std::uint32_t enough = 50;  // tries without a result: then there will be none
    bool measured = false;
    for (std::uint32_t turn = 1; !until.reached() || (!measured && turn <= enough); ++turn) {
      if (interrupts::seen() != 0) return;
      await([&] { return goes_down.value.load(sync::acquire) == turn; });
      pass(asleep);
      const auto before = clock::now();
      bell.value.store(turn, sync::release);
      const int woken = os::futex_wake(&bell.value, 1);
      const auto after = clock::now();
      await([&] { return came_up.value.load(sync::acquire) == turn; });
      if (woken != 1 || turn <= warm_up) continue;  // it had not fallen asleep yet
      const clock::time_point ran{clock::duration(ran_at.load(sync::relaxed))};
      if (ran <= before) continue;  // clocks of two CPUs that do not agree
      calls.add(nanoseconds_between(before, after));
      wakes.add(nanoseconds_between(before, ran));
      measured = true;
    }
  });
}

}  // namespace remuda::tool
