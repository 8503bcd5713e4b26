// Jitter: a thread that does nothing but look at the clock sees when it was not let run: interrupts, other threads, the
// hypervisor.
#include <algorithm>

#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {

void measure_jitter(unsigned cpu, const limit& until, jitter_so_far& jitter) {
  constexpr double counts_ns = 1'000;  // a look takes some 30 ns
  constexpr double long_ns = 10'000;
  constexpr int looks = 256;
  on_cpu(cpu, [&] {
    const auto start = clock::now();
    auto last = start;
    do {
      for (int i = 0; i < looks; ++i) {
        const auto now = clock::now();
        const double gap = nanoseconds_between(last, now);
        last = now;
        if (gap < counts_ns) continue;
        jitter.lost_ns += gap;
        jitter.longest_ns = std::max(jitter.longest_ns, gap);
        if (gap > long_ns) ++jitter.long_gaps;
      }
    } while (!until.reached());
    jitter.ns += nanoseconds_between(start, last);
  });
}

topo::measurements::jitter_of_cpu summarise(unsigned cpu, const jitter_so_far& jitter) {
  if (jitter.ns <= 0) return {cpu, 0, 0, 0};
  return {cpu, std::min(1.0, jitter.lost_ns / jitter.ns), jitter.longest_ns,
          static_cast<double>(jitter.long_gaps) / jitter.ns * 1e9};
}

}  // namespace remuda::tool
