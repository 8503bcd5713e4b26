// Rows of the thread-pool table that are costs of one task among many: from the first submit until the last has run.

#include <bit>
#include <thread>
#include <vector>

#include "bench/peers/asio.hpp"
#include "bench/peers/python.hpp"
#include "bench/peers/remuda.hpp"
#include "bench/peers/std_async.hpp"
#include "bench/peers/std_thread.hpp"
#include "bench/peers/tbb.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/tally.hpp"
#include "remuda/detail/sync.hpp"

namespace {

using bench::clock;
using bench::counters;
using bench::nanoseconds;
using bench::not_offered;
using bench::tally;
using sync = remuda::detail::std_sync;

/// Nanoseconds a task of `run()`, which returns when `tasks` of them have run. The first run is a warm-up: it pays for
/// the memory.
template <class Run>
counters timed(std::size_t tasks, Run run) {
  run();
  constexpr int repeats = 2;
  const auto start = clock::now();
  for (int i = 0; i < repeats; ++i) run();
  return {{"ns", nanoseconds(clock::now() - start) / static_cast<double>(repeats * tasks)}};
}

constexpr auto count_one = [] { tally::add(); };

template <class Peer>
counters one_producer(unsigned workers, std::size_t tasks) {
  if constexpr (requires(Peer p) { p.post(count_one); }) {
    Peer pool(workers);
    return timed(tasks, [&] {
      const auto target = tally::total() + tasks;
      for (std::size_t i = 0; i < tasks; ++i) pool.post(count_one);
      tally::wait_for(target);
    });
  } else {
    throw not_offered("cannot start a task without waiting for it");
  }
}

template <class Peer>
counters two_producers(unsigned workers, std::size_t tasks) {
  if constexpr (requires(Peer p) { p.post(count_one); }) {
    Peer pool(workers);
    tasks = tasks / 2 * 2;
    return timed(tasks, [&] {
      const auto target = tally::total() + tasks;
      const auto produce = [&] {
        for (std::size_t i = 0; i < tasks / 2; ++i) pool.post(count_one);
      };
      std::thread other(produce);
      produce();
      other.join();
      tally::wait_for(target);
    });
  } else {
    throw not_offered("cannot start a task without waiting for it");
  }
}

template <class Peer>
counters futures_kept(unsigned workers, std::size_t tasks) {
  Peer pool(workers);
  std::vector<decltype(pool.submit(count_one))> futures;
  futures.reserve(tasks);
  return timed(tasks, [&] {
    for (std::size_t i = 0; i < tasks; ++i) futures.push_back(pool.submit(count_one));
    for (auto& f : futures) f.get();
    futures.clear();
  });
}

template <class Peer>
counters spawn_flat(unsigned workers, std::size_t tasks) {
  if constexpr (requires(Peer p) { p.spawn(count_one); }) {
    Peer pool(workers);
    return timed(tasks, [&] {
      const auto target = tally::total() + tasks;
      pool.post([&pool, tasks] {
        for (std::size_t i = 0; i < tasks; ++i) pool.spawn(count_one);
      });
      tally::wait_for(target);
    });
  } else {
    throw not_offered("cannot start a task without waiting for it");
  }
}

template <class Peer>
struct tree_node {
  Peer* pool;
  int below;
  void operator()() const {
    if (below > 0) {
      pool->spawn(tree_node{pool, below - 1});
      pool->spawn(tree_node{pool, below - 1});
    }
    tally::add();
  }
};

template <class Peer>
counters spawn_tree(unsigned workers, std::size_t tasks) {
  if constexpr (requires(Peer p) { p.spawn(count_one); }) {
    const int levels = std::bit_width(tasks);
    const std::size_t nodes = (std::size_t{1} << levels) - 1;
    Peer pool(workers);
    return timed(nodes, [&] {
      const auto target = tally::total() + nodes;
      pool.post(tree_node<Peer>{&pool, levels - 1});
      tally::wait_for(target);
    });
  } else {
    throw not_offered("cannot start a task without waiting for it");
  }
}

template <class Peer>
counters callback(unsigned workers, std::size_t tasks) {
  if constexpr (requires(Peer p) { p.submit_then([] {}, count_one); }) {
    Peer pool(workers);
    return timed(tasks, [&] {
      const auto target = tally::total() + tasks;
      for (std::size_t i = 0; i < tasks; ++i) pool.submit_then([] {}, count_one);
      tally::wait_for(target);
    });
  } else {
    throw not_offered("has no callback on completion");
  }
}

/// Adds the row for every peer. `measure<Peer>` takes the workers and the tasks.
template <class Measure>
void add(bench::contest& c, const std::string& row, const char* python_row, unsigned workers, std::size_t tasks,
         Measure measure) {
  const auto one = [&]<class Peer>(Peer*) {
    c.add(row, Peer::name, [=] { return measure.template operator()<Peer>(workers, tasks / Peer::share); });
  };
  one(static_cast<bench::remuda_peer*>(nullptr));
  one(static_cast<bench::tbb_peer*>(nullptr));
  one(static_cast<bench::asio_peer*>(nullptr));
  one(static_cast<bench::std_async_peer*>(nullptr));
  one(static_cast<bench::std_thread_peer*>(nullptr));
  const std::string function = python_row;
  c.add(row, bench::python_peer::name,
        [=] { return bench::python_peer::measure(function, workers, tasks / bench::python_peer::share); });
}

}  // namespace

int main(int argc, char** argv) {
  const auto s = bench::settings::from(argc, argv);
  bench::contest c;
  const std::size_t many = s.scaled(1U << 18);
  const std::size_t kept = s.scaled(1U << 16);
  const auto produce_one = []<class P>(unsigned w, std::size_t n) { return one_producer<P>(w, n); };
  const auto produce_two = []<class P>(unsigned w, std::size_t n) { return two_producers<P>(w, n); };
  const auto keep = []<class P>(unsigned w, std::size_t n) { return futures_kept<P>(w, n); };
  const auto flat = []<class P>(unsigned w, std::size_t n) { return spawn_flat<P>(w, n); };
  const auto tree = []<class P>(unsigned w, std::size_t n) { return spawn_tree<P>(w, n); };
  const auto call_back = []<class P>(unsigned w, std::size_t n) { return callback<P>(w, n); };
  add(c, "one_producer", "one_producer", 1, many, produce_one);
  add(c, "one_producer_2_workers", "one_producer", 2, many, produce_one);
  add(c, "two_producers", "two_producers", 2, many, produce_two);
  add(c, "futures_kept", "futures_kept", 2, kept, keep);
  add(c, "spawn_flat", "spawn_flat", 2, many, flat);
  add(c, "spawn_tree", "spawn_tree", 2, 2 * many, tree);
  add(c, "callback", "callback", 2, kept, call_back);
  return c.run(argc, argv, s);
}
