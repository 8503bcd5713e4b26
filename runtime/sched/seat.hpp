// A seat is what makes a thread a worker: a CPU, a deque, a place to sleep, the counters. There are as many as workers,
// and they live as long as the pool; a thread that blocks hands its seat to another one (handoff.cpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "remuda/config.hpp"
#include "remuda/stats.hpp"
#include "runtime/lockfree/work_deque.hpp"
#include "runtime/os/affinity.hpp"
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

/// When a worker looks past its newest task, which may be one that submits itself for ever: every so many turns at the
/// outside queue, and half as often at its own oldest task. The more often, the longer the tasks are, so that it is a
/// matter of microseconds and costs nothing beside the tasks themselves. (As tokio tunes its global queue interval.)
class fairness {
 public:
  /// Counts a turn. True when it is one for outside work.
  bool outside_turn() {
    if (++turn_ % every_ != 0) return false;
    const auto now = clock::now();
    const auto took = std::max<clock::duration>(now - since_, nanoseconds(1));
    every_ = static_cast<std::uint32_t>(std::clamp<std::int64_t>(every_ * period / took, 2, most));
    since_ = now;
    return true;
  }
  bool oldest_turn() const { return turn_ % (2 * every_ + 1) == 0; }
  /// Tasks are so short that taking them one by one would matter.
  bool short_tasks() const { return every_ > most / 4; }
  /// After a time without work, which says nothing about the length of tasks.
  void restart(clock::time_point now) { since_ = now; }

 private:
  static constexpr nanoseconds period{50'000};
  static constexpr std::uint32_t most = 61;  // prime, so that it does not fall into step with the tasks
  std::uint32_t every_ = 2;
  std::uint32_t turn_ = 0;
  clock::time_point since_{};
};

struct alignas(cache_line) seat {
  seat(unsigned i, int c, std::string n, os::cpu_mask m, outside_queue::consumer token, nanoseconds spin)
      : index(i),
        cpu(c),
        name(std::move(n)),
        mask(std::move(m)),
        outside(std::move(token)),
        budget(spin),
        random(i * 0x9E3779B97F4A7C15U + 1) {}

  static constexpr std::size_t first_capacity = 256;  // tasks; the deque grows by itself

  work_deque<std_sync, state> deque{first_capacity};

  // of the thread that sits here
  const unsigned index;
  const int cpu;            // -1: not pinned
  const std::string name;   // of the thread that sits here
  const os::cpu_mask mask;  // where it may run
  outside_queue::consumer outside;
  spin_budget budget;
  std::uint64_t random;
  unsigned near_rings = 0;  // victims in these are tried first; all rings where nothing is to be gained by that
  fairness fair;
  seat_counters counters;

  alignas(cache_line) parker sleep;  // written by wakers
  atomic<std::uint64_t> woken{0};
};

}  // namespace remuda::detail
