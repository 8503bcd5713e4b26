#include "tools/demo_job/ways.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <future>
#include <remuda/remuda.hpp>
#include <system_error>
#include <thread>
#include <utility>

namespace demo {
namespace {

using clock = std::chrono::steady_clock;

double milliseconds(clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

double cpu_milliseconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto in_ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return in_ms(usage.ru_utime) + in_ms(usage.ru_stime);
}

std::atomic<std::size_t> threads_seen{0};

/// Counts the calling thread unless it has been counted before. All ways are counted by this, none by what it should
/// be.
void count_this_thread() {
  struct mark {
    mark() { threads_seen.fetch_add(1, std::memory_order_relaxed); }
  };
  thread_local const mark once;
}

struct outcome {
  digest result;
  clock::time_point finished;
};

/// The task, the same for all ways.
outcome task(const std::string& path) {
  count_this_thread();
  outcome o{digest_file(path), {}};
  o.finished = clock::now();
  return o;
}

// A way is: start(index, path), and finish(index), which waits for the outcome.

class one_thread_each {
 public:
  one_thread_each(std::size_t tasks, unsigned) : threads_(tasks), outcomes_(tasks) {}
  ~one_thread_each() {
    for (auto& t : threads_) {
      if (t.joinable()) t.join();
    }
  }
  one_thread_each(const one_thread_each&) = delete;
  one_thread_each& operator=(const one_thread_each&) = delete;

  void start(std::size_t i, const std::string& path) {
    threads_[i] = std::thread([&path, &out = outcomes_[i]] { out = task(path); });
  }
  outcome finish(std::size_t i) {
    threads_[i].join();
    return outcomes_[i];
  }

 private:
  std::vector<std::thread> threads_;
  std::vector<outcome> outcomes_;
};

class one_async_each {
 public:
  one_async_each(std::size_t tasks, unsigned) : futures_(tasks) {}
  void start(std::size_t i, const std::string& path) {
    futures_[i] = std::async(std::launch::async, task, std::cref(path));
  }
  outcome finish(std::size_t i) { return futures_[i].get(); }

 private:
  std::vector<std::future<outcome>> futures_;
};

class pooled {
 public:
  pooled(std::size_t tasks, unsigned workers) : pool_(options(workers)), futures_(tasks) {}
  void start(std::size_t i, const std::string& path) { futures_[i] = pool_.submit(task, std::cref(path)); }
  outcome finish(std::size_t i) { return futures_[i].take(); }

 private:
  static remuda::thread_pool_options options(unsigned workers) {
    remuda::thread_pool_options o;
    o.workers = workers;
    o.max_pending = std::size_t{workers} * queued_per_worker;
    o.full = remuda::when_full::block;
    o.on_start = [](unsigned) { count_this_thread(); };  // also workers that happen to get no task
    return o;
  }

  remuda::thread_pool pool_;
  std::vector<remuda::future<outcome>> futures_;
};

/// Errors that only say that too many tasks were under way at once.
bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

double quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(q * static_cast<double>(values.size()))) - 1;
  const auto place = values.begin() + std::max<std::ptrdiff_t>(rank, 0);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

template <class Way>
round run_as(const std::vector<std::string>& paths, unsigned workers, progress& bar) {
  const std::size_t n = paths.size();
  round r;
  std::vector<outcome> outcomes(n);
  std::vector<clock::time_point> submitted(n);
  count_this_thread();  // it runs tasks only in need, and is not created for them
  const std::size_t seen_before = threads_seen.load();
  const double cpu_before = cpu_milliseconds();
  const auto begin = clock::now();
  {
    Way way(n, workers);
    std::size_t collected = 0;
    const auto collect_until = [&](std::size_t end) {
      for (; collected < end; ++collected) {
        outcomes[collected] = way.finish(collected);
        bar.step();
      }
    };
    const auto try_start = [&](std::size_t i) {
      try {
        way.start(i, paths[i]);
        return true;
      } catch (const std::system_error& e) {
        if (e.code() != std::errc::resource_unavailable_try_again) throw;
        return false;
      }
    };
    for (std::size_t i = 0; i < n; ++i) {
      submitted[i] = clock::now();
      if (!try_start(i)) {
        ++r.paid.no_thread;
        collect_until(i);
        if (!try_start(i)) {
          outcomes[i] = task(paths[i]);
          collected = i + 1;
          bar.step();
        }
      }
      bar.step();
    }
    collect_until(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (is_shortage(outcomes[i].result.error)) {
        ++r.paid.no_resources;
        outcomes[i] = task(paths[i]);
      }
    }
  }
  r.paid.wall = milliseconds(clock::now() - begin);
  r.paid.cpu = cpu_milliseconds() - cpu_before;
  r.paid.threads = static_cast<double>(threads_seen.load() - seen_before);

  std::vector<double> delays;
  delays.reserve(n);
  r.digests.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    delays.push_back(milliseconds(outcomes[i].finished - submitted[i]));
    r.digests.push_back(outcomes[i].result);
  }
  r.paid.p50 = quantile(delays, 0.50);
  r.paid.p99 = quantile(delays, 0.99);
  return r;
}

}  // namespace

round run(way w, const std::vector<std::string>& paths, unsigned workers, progress& bar) {
  switch (w) {
    case way::one_thread_each:
      return run_as<one_thread_each>(paths, workers, bar);
    case way::one_async_each:
      return run_as<one_async_each>(paths, workers, bar);
    default:
      return run_as<pooled>(paths, workers, bar);
  }
}

}  // namespace demo
