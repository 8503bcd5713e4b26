// Rows of the thread-pool table that are delays: how long it takes from submit until the result is there.

#include <array>
#include <future>
#include <memory>
#include <thread>

#include "bench/peers/asio.hpp"
#include "bench/peers/python.hpp"
#include "bench/peers/remuda.hpp"
#include "bench/peers/std_async.hpp"
#include "bench/peers/std_thread.hpp"
#include "bench/peers/tbb.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/pinning.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/os/affinity.hpp"

namespace {

using namespace std::chrono_literals;
using bench::clock;
using bench::counters;
using bench::latency_recorder;
using sync = remuda::detail::std_sync;

/// Names the calling thread, at the price of a load.
const void* this_thread() {
  thread_local const char mark = 0;
  return &mark;
}

/// Hands `ask(f)` the tiny task `count` times, each time `apart` from the last answer. ask returns when f has run.
template <class Ask>
counters round_trips(std::size_t count, clock::duration apart, Ask ask) {
  const std::size_t warm_up = count / 10;
  latency_recorder recorder(count);
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < warm_up + count; ++i) {
    if (apart > 0ns) std::this_thread::sleep_for(apart);
    const void* ran_on = nullptr;
    const auto start = clock::now();
    ask([&ran_on] { ran_on = this_thread(); });
    const auto end = clock::now();
    if (i < warm_up) continue;
    recorder.record(end - start);
    if (ran_on != this_thread()) ++elsewhere;
  }
  counters result = recorder.summary();
  result["elsewhere"] = static_cast<double>(elsewhere) / static_cast<double>(count);
  return result;
}

/// One worker, on another core than the caller, for peers that keep workers.
template <class Peer>
counters across_cores(std::size_t count, clock::duration apart) {
  Peer pool(1);
  const auto ask = [&pool](auto f) { pool.submit(f).get(); };
  if constexpr (!Peer::keeps_workers) {
    return round_trips(count, apart, ask);  // threads inherit the mask of their creator: leave it alone
  } else {
    const bench::pinned_caller here;
    pool.submit([&here] { remuda::os::pin_to_cpu(here.far()); }).get();
    return round_trips(count, apart, ask);
  }
}

/// Two workers, wherever the pool and the kernel put them.
template <class Peer>
counters two_workers(std::size_t count) {
  Peer pool(2);
  return round_trips(count, 0ns, [&pool](auto f) { pool.submit(f).get(); });
}

/// The caller may run the task itself.
template <class Peer>
counters helping(std::size_t count) {
  Peer pool(1);
  return round_trips(count, 1ms, [&pool](auto f) { pool.submit_and_help(f); });
}

void work_for(clock::duration d) {
  for (const auto end = clock::now() + d; clock::now() < end;) sync::pause();
}

/// 200 tasks of 1 ms on two workers, each of which queues itself again when it ends. How long does a task from outside
/// wait until it starts? With `from_outside` the 200 come from outside too, otherwise a task of the pool starts them.
template <class Peer>
counters behind_backlog(std::size_t count, bool from_outside) {
  constexpr int backlog = 200;
  Peer pool(2);
  remuda::detail::atomic<bool> stop{false};
  remuda::detail::atomic<int> alive{backlog};
  struct again {
    Peer* pool;
    remuda::detail::atomic<bool>* stop;
    remuda::detail::atomic<int>* alive;
    void operator()() const {
      work_for(1ms);
      if (stop->load(sync::relaxed)) {  // relaxed: sooner or later is enough
        alive->fetch_sub(1, sync::acq_rel);
      } else {
        pool->spawn(*this);
      }
    }
  };
  const again task{&pool, &stop, &alive};
  if (from_outside) {
    for (int i = 0; i < backlog; ++i) pool.post(task);
  } else {
    pool.post([task] {
      for (int i = 0; i < backlog; ++i) task.pool->spawn(task);
    });
  }
  std::this_thread::sleep_for(50ms);  // let it get into its stride

  latency_recorder recorder(count);
  bool never = false;
  for (std::size_t i = 0; i < count && !never; ++i) {
    const auto started = std::make_shared<std::promise<clock::time_point>>();
    auto start_time = started->get_future();
    const auto begin = clock::now();
    pool.post([started] { started->set_value(clock::now()); });
    never = start_time.wait_for(1s) != std::future_status::ready;
    recorder.record(never ? clock::now() - begin : start_time.get() - begin);
  }
  stop.store(true, sync::relaxed);
  while (alive.load(sync::acquire) > 0) std::this_thread::sleep_for(1ms);
  counters result = recorder.summary();
  result["never"] = never ? 1 : 0;
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bench;
  const auto s = settings::from(argc, argv);
  contest c;
  const std::size_t hot = s.scaled(10'000);
  const std::size_t hot_slow = s.scaled(1'000);
  const std::size_t spaced = s.scaled(200);
  const std::size_t probes = s.scaled(4);

  const auto add_hot = [&](const std::string& row, auto measure, unsigned workers) {
    c.add(row, remuda_peer::name, [=] { return measure.template operator()<remuda_peer>(hot); });
    c.add(row, tbb_peer::name, [=] { return measure.template operator()<tbb_peer>(hot); });
    c.add(row, asio_peer::name, [=] { return measure.template operator()<asio_peer>(hot); });
    c.add(row, std_async_peer::name, [=] { return measure.template operator()<std_async_peer>(hot_slow); });
    c.add(row, std_thread_peer::name, [=] { return measure.template operator()<std_thread_peer>(hot_slow); });
    c.add(row, python_peer::name, [=] { return python_peer::measure("round_trip_hot", workers, hot_slow); });
  };
  add_hot(
      "round_trip_hot", []<class Peer>(std::size_t n) { return across_cores<Peer>(n, 0ns); }, 1);
  add_hot(
      "round_trip_hot_2_workers", []<class Peer>(std::size_t n) { return two_workers<Peer>(n); }, 2);

  c.add("round_trip_1ms", remuda_peer::name, [=] { return across_cores<remuda_peer>(spaced, 1ms); });
  c.add("round_trip_1ms", tbb_peer::name, [=] { return across_cores<tbb_peer>(spaced, 1ms); });
  c.add("round_trip_1ms", asio_peer::name, [=] { return across_cores<asio_peer>(spaced, 1ms); });
  c.add("round_trip_1ms", std_async_peer::name, [=] { return across_cores<std_async_peer>(spaced, 1ms); });
  c.add("round_trip_1ms", std_thread_peer::name, [=] { return across_cores<std_thread_peer>(spaced, 1ms); });
  c.add("round_trip_1ms", python_peer::name, [=] { return python_peer::measure("round_trip_spaced", 1, spaced); });

  // asio's workers and its futures' waiters always sleep
  c.add("round_trip_1ms_parked", remuda_peer::name, [=] { return across_cores<remuda_efficient_peer>(spaced, 1ms); });
  c.add("round_trip_1ms_parked", asio_peer::name, [=] { return across_cores<asio_peer>(spaced, 1ms); });

  c.add("round_trip_1ms_helping", remuda_peer::name, [=] { return helping<remuda_peer>(spaced); });
  c.add("round_trip_1ms_helping", tbb_peer::name, [=] { return helping<tbb_peer>(spaced); });

  for (const bool from_outside : {true, false}) {
    const std::string row = from_outside ? "behind_backlog" : "behind_backlog_from_inside";
    const auto none = []() -> counters { throw not_offered("has no queue"); };
    c.add(row, remuda_peer::name, [=] { return behind_backlog<remuda_peer>(probes, from_outside); });
    c.add(row, tbb_peer::name, [=] { return behind_backlog<tbb_peer>(probes, from_outside); });
    c.add(row, tbb_enqueue_peer::name, [=] { return behind_backlog<tbb_enqueue_peer>(probes, from_outside); });
    c.add(row, asio_peer::name, [=] { return behind_backlog<asio_peer>(probes, from_outside); });
    c.add(row, std_async_peer::name, none);
    c.add(row, std_thread_peer::name, none);
    if (from_outside) c.add(row, python_peer::name, [=] { return python_peer::measure("behind_backlog", 2, probes); });
  }
  return c.run(argc, argv, s);
}
