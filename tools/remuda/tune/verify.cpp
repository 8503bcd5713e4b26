#include "tools/remuda/tune/verify.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>

#include "remuda/detail/sync.hpp"
#include "remuda/error.hpp"
#include "remuda/process_pool.hpp"
#include "remuda/profile.hpp"
#include "remuda/thread_pool.hpp"
#include "tools/remuda/median.hpp"

namespace remuda::tool {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double ns_since(clock::time_point start) {
  return std::chrono::duration<double, std::nano>(clock::now() - start).count();
}

thread_pool_options threads_with(const std::string& profile) {
  thread_pool_options options;
  options.profile = profile;
  return options;
}

process_pool_options processes_with(const std::string& profile) {
  process_pool_options options;
  options.profile = profile;
  return options;
}

int same(int n) { return n; }

/// The median of round trips with a pause before each.
template <class Pool>
double round_trips(Pool& pool, int count, milliseconds apart) {
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    if (apart.count() != 0) std::this_thread::sleep_for(apart);
    const auto start = clock::now();
    pool.submit(same, i).get();
    times.push_back(ns_since(start));
  }
  return median(std::move(times));
}

/// A task of a binary tree, which makes its two children.
struct tree {
  thread_pool& pool;
  detail::atomic<int> left;

  void node(int depth) {
    if (depth != 0) {
      for (int child = 0; child < 2; ++child) pool.post([this, depth] { node(depth - 1); });
    }
    left.fetch_sub(1, detail::std_sync::release);  // release: pairs with the acquire of who waits for all
  }
};

double tree_of_tasks(const std::string& profile) {
  constexpr int depth = 13;
  constexpr int tasks = (2 << depth) - 1;
  thread_pool pool(threads_with(profile));
  round_trips(pool, 50, {});
  tree all{pool, {tasks}};
  const auto start = clock::now();
  pool.post([&all] { all.node(depth); });
  while (all.left.load(detail::std_sync::acquire) != 0) std::this_thread::yield();
  return ns_since(start) / tasks;
}

double tasks_from_outside(const std::string& profile) {
  constexpr int tasks = 20'000;
  thread_pool pool(threads_with(profile));
  round_trips(pool, 50, {});
  detail::atomic<int> left{tasks};
  const auto start = clock::now();
  for (int i = 0; i < tasks; ++i) {
    pool.post([&left] { left.fetch_sub(1, detail::std_sync::release); });  // release: as in tree
  }
  while (left.load(detail::std_sync::acquire) != 0) std::this_thread::yield();
  return ns_since(start) / tasks;
}

double thread_round_trips(const std::string& profile, int count, milliseconds apart) {
  thread_pool pool(threads_with(profile));
  round_trips(pool, 20, {});
  return round_trips(pool, count, apart);
}

double process_round_trips(const std::string& profile) {
  process_pool pool(processes_with(profile));
  round_trips(pool, 50, {});
  return round_trips(pool, 500, {});
}

double process_stream(const std::string& profile) {
  constexpr int tasks = 5'000;
  process_pool pool(processes_with(profile));
  round_trips(pool, 50, {});
  std::vector<future<int>> all;
  all.reserve(tasks);
  const auto start = clock::now();
  for (int i = 0; i < tasks; ++i) all.push_back(pool.submit(same, i));
  for (const auto& each : all) each.get();
  return ns_since(start) / tasks;
}

struct workload {
  const char* name;
  double (*run)(const std::string& profile);  // ns a task
};

constexpr std::array<workload, 7> workloads{{
    {"round trip, hot", [](const std::string& p) { return thread_round_trips(p, 2'000, milliseconds(0)); }},
    {"round trip, 1 ms apart", [](const std::string& p) { return thread_round_trips(p, 30, milliseconds(1)); }},
    {"round trip, parked", [](const std::string& p) { return thread_round_trips(p, 5, milliseconds(20)); }},
    {"tree of tasks", tree_of_tasks},
    {"tasks from outside", tasks_from_outside},
    {"process round trip, hot", process_round_trips},
    {"stream to processes", process_stream},
}};

}  // namespace

std::vector<verified> verify_profile(const std::string& profile, unsigned rounds,
                                     const std::function<void(double)>& progress) {
  thread_pool_options one = threads_with(profile);
  one.workers = 1;
  if (thread_pool(one).settings().profile.empty())
    throw error("pools do not take the profile, so it cannot be verified");
  std::array<std::vector<double>, workloads.size()> before, after;
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < workloads.size(); ++i) {
      progress(static_cast<double>(round * workloads.size() + i) / static_cast<double>(rounds * workloads.size()));
      // Each goes first as often as the other.
      const bool built_in_first = (round + i) % 2 == 0;
      if (built_in_first) before[i].push_back(workloads[i].run(""));
      after[i].push_back(workloads[i].run(profile));
      if (!built_in_first) before[i].push_back(workloads[i].run(""));
    }
  }
  progress(1);
  const double confidence = 1 - 0.05 / static_cast<double>(workloads.size());
  std::vector<verified> all;
  all.reserve(workloads.size());
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    all.push_back({workloads[i].name, median(before[i]), median(after[i]), compare(before[i], after[i], confidence)});
  }
  return all;
}

verdict overall(const std::vector<verified>& all) {
  const auto any = [&all](verdict v) {
    return std::any_of(all.begin(), all.end(), [v](const verified& each) { return each.times.said == v; });
  };
  for (const verdict v : {verdict::worse, verdict::better, verdict::unclear}) {
    if (any(v)) return v;
  }
  return verdict::same;
}

}  // namespace remuda::tool
