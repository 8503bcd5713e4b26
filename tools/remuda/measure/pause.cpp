// A pause instruction takes 5 to 140 cycles, by the make of the CPU: what a spin loop counts in turns means different
// times.
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {

void measure_pause(std::optional<unsigned> cpu, const limit& until, samples& pauses) {
  constexpr int batch = 500;
  on_cpu(cpu, [&] {
    do {
      const auto start = clock::now();
      for (int i = 0; i < batch; ++i) detail::std_sync::pause();
      pauses.add(nanoseconds_between(start, clock::now()) / batch);
    } while (!until.reached());
  });
}

}  // namespace remuda::tool
