#include "tools/demo_job/ways.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <future>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "tools/demo_job/one_process_each.hpp"
#include "tools/demo_job/task.hpp"

namespace demo {
namespace {

double milliseconds(clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

/// Of this process and of the children that it has waited for, with theirs.
double cpu_milliseconds() {
  double sum = 0;
  for (const auto whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(whose, &usage);
    for (const timeval& t : {usage.ru_utime, usage.ru_stime})
      sum += static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  }
  return sum;
}

// A way is: start(index, path), and finish(index), which waits for the outcome; one of processes tells with processes()
// how many it has started. at_most(), where there is one: tasks that may be started and not finished.

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
    threads_[i] = std::thread([&path, &out = outcomes_[i]] { out = run_task(path); });
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
    futures_[i] = std::async(std::launch::async, run_task, std::cref(path));
  }
  outcome finish(std::size_t i) { return futures_[i].get(); }

 private:
  std::vector<std::future<outcome>> futures_;
};

class pooled {
 public:
  pooled(std::size_t tasks, unsigned workers) : pool_(options(workers)), futures_(tasks) {}
  void start(std::size_t i, const std::string& path) { futures_[i] = pool_.submit(run_task, std::cref(path)); }
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

class process_pooled {
 public:
  process_pooled(std::size_t tasks, unsigned workers) : pool_(options(workers)), futures_(tasks) {}
  void start(std::size_t i, const std::string& path) { futures_[i] = pool_.submit(run_task, path); }
  outcome finish(std::size_t i) {
    try {
      return futures_[i].take();
    } catch (const remuda::worker_died&) {
      outcome o;
      o.result.error = process_died;
      return o;
    }
  }
  std::size_t processes() const {
    std::size_t n = 1;  // the zygote, of which the workers are forked
    for (const auto& w : pool_.stats().workers) n += 1 + w.replaced;
    return n;
  }

 private:
  static remuda::process_pool_options options(unsigned workers) {
    remuda::process_pool_options o;
    o.workers = workers;
    o.max_pending = std::size_t{workers} * queued_per_worker;
    o.full = remuda::when_full::block;
    o.max_payload = std::size_t{1} << 20;  // a path and a digest are small
    return o;
  }

  remuda::process_pool pool_;
  std::vector<remuda::future<outcome>> futures_;
};

/// Errors that only say that too many tasks were under way at once, or that a task's process did not live to its end.
bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM || error == process_died; }

/// The system may give what it refused when there is less under way.
bool is_refusal(const std::error_code& error) {
  return error == std::errc::resource_unavailable_try_again || error == std::errc::not_enough_memory ||
         error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system;
}

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
  const std::size_t seen_before = threads_counted();
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
        if (!is_refusal(e.code())) throw;
        return false;
      }
    };
    for (std::size_t i = 0; i < n; ++i) {
      submitted[i] = clock::now();
      if constexpr (requires { way.at_most(); }) {
        if (i >= way.at_most()) collect_until(i + 1 - way.at_most());
      }
      if (!try_start(i)) {
        ++r.paid.refused;
        collect_until(i);
        if (!try_start(i)) {
          outcomes[i] = run_task(paths[i]);
          collected = i + 1;
          bar.step();
        }
      }
      bar.step();
    }
    collect_until(n);
    if constexpr (requires { way.processes(); }) r.paid.created = static_cast<double>(way.processes());
    for (std::size_t i = 0; i < n; ++i) {
      if (is_shortage(outcomes[i].result.error)) {
        ++r.paid.no_resources;
        outcomes[i] = run_task(paths[i]);
      }
    }
  }
  r.paid.wall = milliseconds(clock::now() - begin);
  r.paid.files = static_cast<double>(n);
  r.paid.cpu = cpu_milliseconds() - cpu_before;
  if constexpr (!requires(const Way& w) { w.processes(); })
    r.paid.created = static_cast<double>(threads_counted() - seen_before);

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
    case way::pool:
      return run_as<pooled>(paths, workers, bar);
    case way::one_fork_each:
      return run_as<one_fork_each>(paths, workers, bar);
    case way::one_spawn_each:
      return run_as<one_spawn_each>(paths, workers, bar);
    default:
      return run_as<process_pooled>(paths, workers, bar);
  }
}

}  // namespace demo
