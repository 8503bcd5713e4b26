// The single measurements, one file each. Each function is one step: it measures until the limit, but at least once,
// adds what it found, and leaves no thread or process behind. So steps of all kinds can take turns, and what drifts
// (clock frequency, neighbours of a virtual machine) reaches all alike.
//
// All throw cannot_pin, and std::system_error where threads, memory or processes cannot be had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runtime/topo/measurements.hpp"
#include "tools/remuda/measure/pairs.hpp"
#include "tools/remuda/measure/samples.hpp"
#include "tools/remuda/measure/threads.hpp"

namespace remuda::tool {

/// Round trip of a cache line that two threads write in turn; ns.
void measure_line(cpu_pair cpus, const limit& until, samples& round_trips);

/// One pause of the spin loops of the pools; ns.
void measure_pause(std::optional<unsigned> cpu, const limit& until, samples& pauses);

/// The first CPU's thread wakes the second one's by futex when that has been asleep for about so long; ns. `calls`: the
/// call that wakes. `wakes`: from before it until the sleeper runs.
void measure_wake(cpu_pair cpus, nanoseconds asleep, const limit& until, samples& calls, samples& wakes);

/// What the other process does with the memory that it shares: serves until it is told to end, or, in tests, something
/// else. Runs after fork(), so it may do only what a signal handler may.
struct ring_memory;
using ring_server = void (*)(ring_memory& shared);
void serve_ring(ring_memory& shared);

/// A call over the pools' ring to another process, and its answer; both processes spin; ns. The calling thread must be
/// the only one of this process. Throws std::runtime_error when the other process ends early or answers wrongly.
void measure_ring(cpu_pair cpus, const limit& until, samples& round_trips, ring_server server = serve_ring);

/// The first CPU's thread steals from a deque that the second one's just worked on, and reads the task; ns.
void measure_steal(cpu_pair cpus, const limit& until, samples& steals);

/// How a busy thread was held up; the sum over its steps.
struct jitter_so_far {
  double ns = 0;
  double lost_ns = 0;  ///< in gaps of 1 us and more
  double longest_ns = 0;
  std::uint64_t long_gaps = 0;  ///< of more than 10 us
};
void measure_jitter(unsigned cpu, const limit& until, jitter_so_far& jitter);
topo::measurements::jitter_of_cpu summarise(unsigned cpu, const jitter_so_far& jitter);

/// Bytes to measure memory with: so many times the last cache (bytes; 0 = not known) that it does not matter, but at
/// most an eighth of the memory that is available, all areas together. A power of two.
std::size_t memory_area_bytes(std::size_t last_cache, std::size_t available, std::size_t areas);

/// Bytes of the largest cache that the system tells; 0 = it tells none.
std::size_t last_cache_bytes();

/// Bytes that may be used without harm to others: free ones, and what the control group still allows.
std::size_t available_memory();

/// Memory of one node, filled with a chain that visits every cache line once in an order that no prefetcher follows.
class memory_area {
 public:
  /// `bytes` from memory_area_bytes(). Takes its time: touches all of it.
  memory_area(unsigned node, std::size_t bytes);
  ~memory_area();
  memory_area(const memory_area&) = delete;
  memory_area& operator=(const memory_area&) = delete;

  std::size_t bytes() const { return count_ * sizeof(line); }

  /// The node that its memory really came from: another one where that node has none, or the system places memory as
  /// it likes. Nothing = the system does not tell.
  std::optional<unsigned> node() const;

  /// ns of one load that depends on the one before.
  void measure_latency(std::optional<unsigned> cpu, const limit& until, samples& loads);

  /// Bytes a second, read by one thread in order.
  void measure_bandwidth(std::optional<unsigned> cpu, const limit& until, samples& rates);

  struct line {
    line* next;
    std::uint64_t rest[7];
  };

  /// Of the chain.
  const line* first() const { return lines_; }

 private:
  line* lines_ = nullptr;
  std::size_t count_ = 0;
  line* at_ = nullptr;          // of the chain; goes on where the last step ended, for that part is in no cache
  std::size_t read_up_to_ = 0;  // a line's number, for the bandwidth
};

}  // namespace remuda::tool
