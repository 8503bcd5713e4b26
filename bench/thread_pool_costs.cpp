// Rows of the thread-pool table that are neither delays nor throughput: heap calls, CPU time of an idle pool, what
// starting and stopping many workers takes, and whether tasks that wait for tasks come to an end.

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/peers/asio.hpp"
#include "bench/peers/python.hpp"
#include "bench/peers/remuda.hpp"
#include "bench/peers/std_async.hpp"
#include "bench/peers/std_thread.hpp"
#include "bench/peers/tbb.hpp"
#include "bench/support/allocations.hpp"
#include "bench/support/child.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/cpu_time.hpp"
#include "remuda/detail/sync.hpp"

namespace {

using namespace std::chrono_literals;
using bench::clock;
using bench::counters;
using bench::latency_recorder;
using sync = remuda::detail::std_sync;

/// Heap calls of a submit whose result is waited for, with a few in flight.
template <class Peer>
counters allocations(std::size_t batches) {
  constexpr std::size_t batch = 64;
  Peer pool(2);
  std::vector<decltype(pool.submit([] {}))> futures;
  futures.reserve(batch);
  const auto run = [&] {
    for (std::size_t i = 0; i < batches; ++i) {
      for (std::size_t k = 0; k < batch; ++k) futures.push_back(pool.submit([] {}));
      for (auto& f : futures) f.get();
      futures.clear();
    }
  };
  run();
  const auto before = bench::heap_calls_so_far();
  run();
  const auto calls = static_cast<double>(bench::heap_calls_so_far() - before);
  return {{"per_submit", calls / static_cast<double>(batches * batch)}};
}

/// CPU time in 5 s, from a sample of it: the rounds together make up the 5 s.
template <class Peer>
counters idle_cpu(std::chrono::milliseconds sample) {
  Peer pool(2);
  for (int i = 0; i < 1000; ++i) pool.submit([] {}).get();
  std::this_thread::sleep_for(100ms);  // whoever spins after work has stopped by now
  const auto before = bench::cpu_time_of_others();
  std::this_thread::sleep_for(sample);
  // the two clocks are read one after the other, so that nothing used may come out a little below zero
  const std::chrono::duration<double, std::milli> used = std::max(bench::cpu_time_of_others() - before, 0ns);
  return {{"cpu_ms", used * (5s / sample) / 1ms}};
}

template <class Peer>
counters many_workers(std::size_t count) {
  constexpr unsigned workers = 64;
  latency_recorder start(count);
  latency_recorder stop(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::optional<Peer> pool;
    const auto begin = clock::now();
    pool.emplace(workers);
    pool->submit([] {}).get();
    const auto started = clock::now();
    pool.reset();
    start.record(started - begin);
    stop.record(clock::now() - started);
  }
  counters result = start.summary();
  const counters stopped = stop.summary();
  result["stop_p50_us"] = stopped.at("p50_us");
  result["stop_p99_us"] = stopped.at("p99_us");
  return result;
}

constexpr int parents = 8;
constexpr std::string_view nested_wait_flag = "--nested-wait=";

/// 8 tasks of which each waits for a task that it starts, on 2 workers; how many come to their end within a second?
/// Runs in a process of its own and ends it, because of those that never do.
template <class Peer>
[[noreturn]] void nested_wait() {
  Peer pool(2);
  remuda::detail::atomic<int> finished{0};
  const auto parent = [&] {
    std::this_thread::sleep_for(1ms);  // so that both workers have a parent each before the first child is queued
    pool.run_child([] {});
    finished.fetch_add(1, sync::relaxed);  // relaxed: only the number counts
  };
  std::vector<decltype(pool.submit(parent))> futures;
  for (int i = 0; i < parents; ++i) futures.push_back(pool.submit(parent));
  for (const auto end = clock::now() + 1s; finished.load(sync::relaxed) < parents && clock::now() < end;) {
    std::this_thread::sleep_for(1ms);
  }
  bench::print_counters({{"finished", finished.load(sync::relaxed)}});
  _exit(0);
}

template <class... Peers>
struct peers {
  static void add(bench::contest& c, const std::string& row, auto measure) {
    (c.add(row, Peers::name, [measure] { return measure.template operator()<Peers>(); }), ...);
  }
  static void run_nested_wait(std::string_view name) { ((name == Peers::name ? nested_wait<Peers>() : void()), ...); }
};

using pools = peers<bench::remuda_peer, bench::tbb_peer, bench::asio_peer>;
using all = peers<bench::remuda_peer, bench::tbb_peer, bench::asio_peer, bench::std_async_peer, bench::std_thread_peer>;

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]).starts_with(nested_wait_flag)) {
    all::run_nested_wait(std::string_view(argv[1]).substr(nested_wait_flag.size()));
  }
  const auto s = bench::settings::from(argc, argv);
  bench::contest c;
  const std::size_t batches = s.scaled(100);
  const std::size_t starts = s.scaled(20);
  const auto idle = s.quick ? 250ms : 1000ms;

  all::add(c, "allocations", [=]<class P>() { return allocations<P>(batches); });
  c.add("allocations", bench::python_peer::name,
        []() -> counters { throw bench::not_offered("every Python object is an allocation"); });

  pools::add(c, "many_workers", [=]<class P>() { return many_workers<P>(starts); });
  c.add("many_workers", bench::python_peer::name,
        [=] { return bench::python_peer::measure("many_workers", 64, starts); });

  all::add(c, "nested_wait", []<class P>() {
    return bench::measure_in_child({bench::own_program(), std::string(nested_wait_flag) + P::name});
  });
  c.add("nested_wait", bench::python_peer::name, [] { return bench::python_peer::measure("nested_wait", 2, parents); });

  pools::add(c, "idle_cpu", [=]<class P>() { return idle_cpu<P>(idle); });
  c.add("idle_cpu", bench::python_peer::name,
        [=] { return bench::python_peer::measure("idle_cpu", 2, static_cast<std::size_t>(idle.count())); });
  return c.run(argc, argv, s);
}
