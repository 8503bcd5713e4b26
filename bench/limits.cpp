// What the machine can do at best: the floor under every figure of the other programs. No pool, no future, only the
// mechanism that each of them rests on.

#include <concurrentqueue.h>
#include <pthread.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include "bench/support/contest.hpp"
#include "bench/support/pinning.hpp"
#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/os/futex.hpp"

namespace {

using namespace std::chrono_literals;
using bench::clock;
using bench::counters;
using bench::latency_recorder;
using bench::nanoseconds;
using sync = remuda::detail::std_sync;

struct alignas(2 * remuda::cache_line) word {  // two lines: the hardware fetches them in pairs
  remuda::detail::atomic<std::uint32_t> value{0};
};

/// A turn of one thread is over when it stores its next number; the other one waits for that.
class spinning {
 public:
  static void give(word& w, std::uint32_t turn) { w.value.store(turn, sync::release); }
  static void await(word& w, std::uint32_t turn) {
    while (w.value.load(sync::acquire) != turn) sync::pause();
  }
};

class sleeping {
 public:
  static void give(word& w, std::uint32_t turn) {
    w.value.store(turn, sync::release);
    wake(w);
  }
  static void await(word& w, std::uint32_t turn) {
    for (std::uint32_t seen = 0; (seen = w.value.load(sync::acquire)) != turn;) {
      remuda::os::futex_wait(&w.value, seen);
    }
  }
  static void wake(word& w) { remuda::os::futex_wake(&w.value, 1); }
};

/// The time from `give` of the asking thread until the answer of the other one is seen. `Asked` is how the answering
/// thread waits, `Asking` how the asking one does.
template <class Asked, class Asking>
counters round_trip(std::size_t count, clock::duration apart, std::size_t number_of_lines = 2) {
  const bench::pinned_caller here;
  const auto turns = static_cast<std::uint32_t>(count + count / 10);  // the first tenth is a warm-up
  std::array<word, 2> lines;
  word& question = lines[0];
  word& answer = lines[number_of_lines - 1];
  std::thread other([&] {
    remuda::os::pin_to_cpu(here.far());
    for (std::uint32_t turn = 1; turn <= turns; ++turn) {
      Asked::await(question, 2 * turn - 1);
      Asking::give(answer, 2 * turn);
    }
  });
  latency_recorder recorder(count);
  for (std::uint32_t turn = 1; turn <= turns; ++turn) {
    if (apart > 0ns) std::this_thread::sleep_for(apart);
    const auto start = clock::now();
    Asked::give(question, 2 * turn - 1);
    Asking::await(answer, 2 * turn);
    if (turn > turns - count) recorder.record(clock::now() - start);
  }
  other.join();
  return recorder.summary();
}

/// The call alone, with the thread that it wakes asleep each time.
counters futex_wake_call(std::size_t count, clock::duration apart) {
  const bench::pinned_caller here;
  word question;
  word answer;
  std::thread other([&] {
    remuda::os::pin_to_cpu(here.far());
    for (std::uint32_t turn = 1; turn <= count; ++turn) {
      sleeping::await(question, turn);
      spinning::give(answer, turn);
    }
  });
  latency_recorder recorder(count);
  for (std::uint32_t turn = 1; turn <= count; ++turn) {
    std::this_thread::sleep_for(apart);  // long enough for the other one to fall asleep
    question.value.store(turn, sync::release);
    const auto start = clock::now();
    sleeping::wake(question);
    recorder.record(clock::now() - start);
    spinning::await(answer, turn);
  }
  other.join();
  return recorder.summary();
}

template <class Step>
counters per_step(std::size_t count, Step step) {
  const auto start = clock::now();
  for (std::size_t i = 0; i < count; ++i) step();
  return {{"ns", nanoseconds(clock::now() - start) / static_cast<double>(count)}};
}

/// One thread puts items in, another one takes them out; until the last one is out.
template <bool WithToken>
counters moodycamel_item(std::size_t count) {
  const bench::pinned_caller here;
  moodycamel::ConcurrentQueue<std::uintptr_t> queue;
  const auto pass = [&] {
    std::thread consumer([&] {
      remuda::os::pin_to_cpu(here.far());
      std::uintptr_t item = 0;
      moodycamel::ConsumerToken token(queue);
      for (std::size_t taken = 0; taken < count;) {
        taken += WithToken ? queue.try_dequeue(token, item) : queue.try_dequeue(item);
      }
    });
    const moodycamel::ProducerToken token(queue);
    const auto start = clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      if constexpr (WithToken) {
        queue.enqueue(token, i);
      } else {
        queue.enqueue(i);
      }
    }
    consumer.join();
    return counters{{"ns", nanoseconds(clock::now() - start) / static_cast<double>(count)}};
  };
  pass();  // the queue keeps its blocks: the first pass pays for fetching them
  return pass();
}

counters pthread_create_join(std::size_t count) {
  return per_step(count, [] {
    pthread_t thread{};
    if (pthread_create(
            &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) != 0)
      std::abort();
    pthread_join(thread, nullptr);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto s = bench::settings::from(argc, argv);
  bench::contest c;
  const std::size_t hot = s.scaled(100'000);
  const std::size_t asleep = s.scaled(4'000);
  const std::size_t spaced = s.scaled(300);
  const std::size_t steps = s.scaled(2'000'000);

  c.add("cache_line_round_trip", "one_line", [=] { return round_trip<spinning, spinning>(hot, 0ns, 1); });
  c.add("cache_line_round_trip", "two_lines", [=] { return round_trip<spinning, spinning>(hot, 0ns); });
  // both threads asleep: what a round trip costs that parks on either side
  c.add("futex_round_trip", "hot", [=] { return round_trip<sleeping, sleeping>(asleep, 0ns); });
  c.add("futex_round_trip", "after_1ms", [=] { return round_trip<sleeping, sleeping>(spaced, 1ms); });
  // the asking thread spins for the answer: what one wake-up costs
  c.add("wake_to_run", "after_50us", [=] { return round_trip<sleeping, spinning>(spaced, 50us); });
  c.add("wake_to_run", "after_1ms", [=] { return round_trip<sleeping, spinning>(spaced, 1ms); });
  c.add("futex_wake_call", "after_50us", [=] { return futex_wake_call(spaced, 50us); });
  c.add("futex_wake_call", "after_1ms", [=] { return futex_wake_call(spaced, 1ms); });
  c.add("moodycamel_item", "plain", [=] { return moodycamel_item<false>(steps / 2); });
  c.add("moodycamel_item", "token", [=] { return moodycamel_item<true>(steps / 2); });
  c.add("pthread_create_join", "limit", [=] { return pthread_create_join(steps / 2000); });
  c.add("lock_cmpxchg", "limit", [=] {
    word w;
    return per_step(steps, [&w, seen = 0U]() mutable {
      if (w.value.compare_exchange_strong(seen, seen + 1, sync::seq_cst)) ++seen;
    });
  });
  c.add("malloc_free", "limit", [=] {
    return per_step(steps, [] {
      void* block = std::malloc(64);
      benchmark::DoNotOptimize(block);
      std::free(block);
    });
  });
  c.add("pause", "limit", [=] { return per_step(steps / 10, [] { sync::pause(); }); });
  c.add("clock_read", "limit", [=] { return per_step(steps / 10, [] { benchmark::DoNotOptimize(clock::now()); }); });
  return c.run(argc, argv, s);
}
