// The cost of a steal, with the pools' own deque. The thief's time for one task alone: finding it, the CAS, and the
// first look at what the victim wrote. Single ones, as a thief takes them, with lines that the victim has just written.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "remuda/config.hpp"
#include "runtime/lockfree/work_deque.hpp"
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {
namespace {

using sync = detail::std_sync;

struct alignas(2 * cache_line) task {
  std::uint64_t content = 0;
};

struct alignas(2 * cache_line) word {
  detail::atomic<std::uint32_t> value{0};
};

// What it costs to look at the clock twice: the half of the looks that is faster.
double clock_cost() {
  std::array<double, 101> costs{};
  for (double& each : costs) {
    const auto start = clock::now();
    each = nanoseconds_between(start, clock::now());
  }
  std::nth_element(costs.begin(), costs.begin() + costs.size() / 2, costs.end());
  return costs.at(costs.size() / 2);
}

}  // namespace

void measure_steal(cpu_pair cpus, const limit& until, samples& steals) {
  constexpr int batch = 16;
  detail::work_deque<sync, task> deque(64);
  std::array<task, 64> tasks;
  word wanted, offered;

  on_cpu(cpus.first, [&] {
    const partner victim(cpus.second, [&](const flag& ended) {
      for (std::uint32_t turn = 1;; ++turn) {
        const bool asked =
            await([&] { return wanted.value.load(sync::acquire) == turn; }, [&] { return ended.load(sync::acquire); });
        if (!asked) return;
        task& oldest = tasks.at(std::size_t{2} * turn % tasks.size());
        task& newest = tasks.at((2 * turn + 1) % tasks.size());
        oldest.content = newest.content = turn;
        deque.push(&oldest);
        deque.push(&newest);
        deque.pop();  // a victim at work: its index is a line that it has just written
        offered.value.store(turn, sync::release);
      }
    });
    const double of_the_clock = clock_cost();
    std::uint32_t turn = 0;
    std::uint64_t wrong = 0;
    const auto steal = [&] {
      wanted.value.store(++turn, sync::release);
      await([&] { return offered.value.load(sync::acquire) == turn; });
      const auto start = clock::now();
      const auto found = deque.steal();
      wrong += found.outcome == detail::steal_outcome::stolen && found.item->content == turn ? 0 : 1;
      return std::max(1.0, nanoseconds_between(start, clock::now()) - of_the_clock);
    };
    steal();
    do {
      double sum = 0;
      for (int i = 0; i < batch; ++i) sum += steal();
      steals.add(sum / batch);
    } while (!until.reached());
    if (wrong != 0) throw std::logic_error("a steal that nobody disturbed found nothing");
  });
}

}  // namespace remuda::tool
