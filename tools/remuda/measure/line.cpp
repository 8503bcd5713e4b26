// Core to core: one cache line goes to and fro between two threads that spin. The floor under everything that two
// threads do with each other.
#include <cstdint>

#include "remuda/config.hpp"
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {

void measure_line(cpu_pair cpus, const limit& until, samples& round_trips) {
  using sync = detail::std_sync;
  constexpr std::uint32_t batch = 32;  // long enough for the clock not to matter, short enough to show what spreads
  struct alignas(2 * cache_line) {     // two lines: the hardware fetches them in pairs
    detail::atomic<std::uint32_t> turn{0};
  } line;

  on_cpu(cpus.first, [&] {
    const partner other(cpus.second, [&](const flag& ended) {
      // odd numbers are questions, even ones answers
      for (std::uint32_t expected = 1;; expected += 2) {
        const bool asked =
            await([&] { return line.turn.load(sync::acquire) == expected; }, [&] { return ended.load(sync::acquire); });
        if (!asked) return;
        line.turn.store(expected + 1, sync::release);
      }
    });
    std::uint32_t turn = 0;
    const auto round_trip = [&] {
      line.turn.store(++turn, sync::release);
      ++turn;
      await([&] { return line.turn.load(sync::acquire) == turn; });
    };
    for (std::uint32_t i = 0; i < batch && !until.reached(); ++i) round_trip();  // both awake, the line in use
    do {
      const auto start = clock::now();
      for (std::uint32_t i = 0; i < batch; ++i) round_trip();
      round_trips.add(nanoseconds_between(start, clock::now()) / batch);
    } while (!until.reached());
  });
}

}  // namespace remuda::tool
