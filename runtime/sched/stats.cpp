// Reading the counters of a pool.
#include "remuda/stats.hpp"

#include "runtime/sched/pool_core.hpp"

namespace remuda {

std::uint64_t delay_histogram::total() const {
  std::uint64_t n = 0;
  for (const auto c : counts) n += c;
  return n;
}

double delay_histogram::quantile(double q) const {
  const double wanted = q * static_cast<double>(total());
  double seen = 0;
  for (std::size_t i = 0; i < size; ++i) {
    seen += static_cast<double>(counts[i]);
    if (counts[i] != 0 && seen >= wanted) return 64.0 * static_cast<double>(std::uint64_t{1} << i);
  }
  return 0;
}

worker_stats pool_stats::total() const {
  worker_stats sum;
  for (const auto& w : workers) {
    sum.run += w.run;
    sum.stolen += w.stolen;
    sum.injected += w.injected;
    sum.parked += w.parked;
    sum.woken += w.woken;
    for (std::size_t i = 0; i < delay_histogram::size; ++i) sum.queue_delay.counts[i] += w.queue_delay.counts[i];
  }
  return sum;
}

namespace detail {

pool_stats pool_core::stats() const {
  pool_stats out;
  out.workers.reserve(seats_.size());
  out.pending = outside_.size_approx();
  for (const auto& s : seats_) {
    auto& w = out.workers.emplace_back();
    w.cpu = s->cpu;
    w.run = s->counters.run.get();
    w.stolen = s->counters.stolen.get();
    w.injected = s->counters.injected.get();
    w.parked = s->counters.parked.get();
    w.woken = s->woken.load(std_sync::relaxed);  // relaxed: a count
    for (std::size_t i = 0; i < delay_histogram::size; ++i) {
      w.queue_delay.counts[i] = s->counters.queue_delay[i].get();
    }
    out.pending += s->deque.size_approx();
  }
  if (pool_registry::forked_since(id_)) return out;  // a thread that is not here may hold the mutex
  const std::lock_guard lock(mutex_);
  out.spare_threads = spare_threads_;
  return out;
}

}  // namespace detail
}  // namespace remuda
