// Rows of the process-pool table that are delays: from submit until the result of another process is there.

#include <thread>
#include <vector>

#include "bench/peers/boost_mq.hpp"
#include "bench/peers/pipe.hpp"
#include "bench/peers/posix_mq.hpp"
#include "bench/peers/python_processes.hpp"
#include "bench/peers/remuda_process.hpp"
#include "bench/peers/shm_futex.hpp"
#include "bench/peers/shm_ring.hpp"
#include "bench/peers/unix_socket.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/leftovers.hpp"
#include "bench/support/pinning.hpp"

namespace {

using namespace std::chrono_literals;
using bench::clock;
using bench::counters;
using bench::latency_recorder;

/// Asks `count` times, each time `apart` from the last answer, a process on another core than the caller.
template <class Peer>
counters round_trips(std::size_t count, clock::duration apart) {
  Peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  const std::size_t warm_up = count / 10;
  const pid_t me = getpid();
  latency_recorder recorder(count);
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < warm_up + count; ++i) {
    if (apart > 0ns) std::this_thread::sleep_for(apart);
    const auto start = clock::now();
    const pid_t ran_in = peer.ask();
    const auto end = clock::now();
    if (i < warm_up) continue;
    recorder.record(end - start);
    if (ran_in > 0 && ran_in != me) ++elsewhere;
  }
  counters result = recorder.summary();
  result["elsewhere"] = static_cast<double>(elsewhere) / static_cast<double>(count);
  return result;
}

void take_20ms() {
  for (const auto end = clock::now() + 20ms; clock::now() < end;) {
  }
}

/// One task of 20 ms and at once 20 empty ones, on two workers: when is the last of the empty ones done?
counters behind_long_task(std::size_t count) {
  remuda::process_pool pool(bench::process_options(2, remuda::wait_policy::balanced));
  latency_recorder recorder(count);
  std::vector<remuda::future<pid_t>> short_ones;
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = clock::now();
    const auto long_one = pool.submit(take_20ms);
    for (int k = 0; k < 20; ++k) short_ones.push_back(pool.submit(bench::this_process));
    for (const auto& f : short_ones) f.get();
    recorder.record(clock::now() - start);
    short_ones.clear();
    long_one.get();
  }
  return recorder.summary();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bench;
  const auto s = settings::from(argc, argv);
  contest c;
  const std::size_t hot = s.scaled(40'000);
  const std::size_t asleep = s.scaled(4'000);
  const std::size_t hot_slow = s.scaled(2'000);
  const std::size_t spaced = s.scaled(300);
  const auto add = [&]<class Peer>(const char* row, Peer*, std::size_t count, clock::duration apart) {
    c.add(row, Peer::name, leaving_nothing([=] { return round_trips<Peer>(count, apart); }));
  };
  const auto python = [&](const std::string& row, const char* function, unsigned workers, std::size_t count) {
    for (const char* kind : python_processes::kinds) {
      c.add(row, kind, [=] { return python_processes::measure(kind, function, workers, count); });
    }
  };

  const char* row = "process_round_trip_hot";
  add(row, static_cast<remuda_process_peer*>(nullptr), hot, 0ns);
  add(row, static_cast<shm_ring_peer*>(nullptr), hot, 0ns);
  add(row, static_cast<shm_futex_peer*>(nullptr), asleep, 0ns);
  add(row, static_cast<pipe_peer*>(nullptr), asleep, 0ns);
  add(row, static_cast<unix_socket_peer*>(nullptr), asleep, 0ns);
  add(row, static_cast<posix_mq_peer*>(nullptr), asleep, 0ns);
  add(row, static_cast<boost_mq_peer*>(nullptr), asleep, 0ns);
  python(row, "round_trip_hot", 1, hot_slow);

  row = "process_round_trip_parked";
  add(row, static_cast<remuda_efficient_process_peer*>(nullptr), spaced, 1ms);
  add(row, static_cast<shm_futex_peer*>(nullptr), spaced, 1ms);
  add(row, static_cast<pipe_peer*>(nullptr), spaced, 1ms);
  add(row, static_cast<unix_socket_peer*>(nullptr), spaced, 1ms);
  add(row, static_cast<posix_mq_peer*>(nullptr), spaced, 1ms);
  add(row, static_cast<boost_mq_peer*>(nullptr), spaced, 1ms);
  python(row, "round_trip_spaced", 1, spaced);

  row = "process_behind_long_task";
  const std::size_t probes = s.scaled(40);
  c.add(row, remuda_process_peer::name, leaving_nothing([=] { return behind_long_task(probes); }));
  python(row, "behind_long_task", 2, probes);
  return c.run(argc, argv, s);
}
