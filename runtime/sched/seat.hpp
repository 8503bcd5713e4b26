// A seat is what makes a thread a worker: a CPU, a deque, a place to sleep, the counters. There are as many as workers,
// and they live as long as the pool; a thread that blocks hands its seat to another one (handoff.cpp).
#pragma once

#include <array>
#include <cstdint>

#include "remuda/config.hpp"
#include "remuda/stats.hpp"
#include "runtime/lockfree/work_deque.hpp"
#include "runtime/sched/outside_queue.hpp"
#include "runtime/sched/parker.hpp"
#include "runtime/sync/spin.hpp"

namespace remuda::detail {

/// Written by one thread at a time, read by anybody: a relaxed load and store, no locked instruction.
class counter {
 public:
  void add(std::uint64_t n = 1) { n_.store(n_.load(std_sync::relaxed) + n, std_sync::relaxed); }
  std::uint64_t get() const { return n_.load(std_sync::relaxed); }

 private:
  atomic<std::uint64_t> n_{0};
};

struct seat_counters {
  counter run, stolen, injected, parked;
  std::array<counter, delay_histogram::size> queue_delay;
};

struct alignas(cache_line) seat {
  seat(unsigned i, int c, outside_queue::consumer token, nanoseconds spin)
      : index(i), cpu(c), outside(std::move(token)), budget(spin), random(i * 0x9E3779B97F4A7C15U + 1) {}

  static constexpr std::size_t first_capacity = 256;  // tasks; the deque grows by itself

  work_deque<std_sync, state> deque{first_capacity};

  // of the thread that sits here
  const unsigned index;
  const int cpu;  // -1: not pinned
  outside_queue::consumer outside;
  spin_budget budget;
  std::uint64_t random;
  std::uint32_t turn = 0;
  seat_counters counters;

  alignas(cache_line) parker sleep;  // written by wakers
  atomic<std::uint64_t> woken{0};
};

}  // namespace remuda::detail
