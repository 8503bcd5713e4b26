// Rows of the process-pool table that are costs of one task among many, or of the bytes of a large argument.

#include <cstring>
#include <vector>

#include "bench/peers/boost_mq.hpp"
#include "bench/peers/pipe.hpp"
#include "bench/peers/posix_mq.hpp"
#include "bench/peers/python_processes.hpp"
#include "bench/peers/remuda_process.hpp"
#include "bench/peers/shm_ring.hpp"
#include "bench/peers/unix_socket.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/leftovers.hpp"
#include "bench/support/pinning.hpp"

namespace {

using bench::clock;
using bench::counters;
using bench::latency_recorder;
using bench::nanoseconds;
using bytes = std::vector<std::uint8_t>;

constexpr std::size_t mib = std::size_t{1} << 20;

/// Every task is asked for by itself and its result is taken, up to `window` in flight. The first pass is a warm-up.
template <class Peer>
counters stream_through(Peer& peer, std::size_t tasks) {
  const pid_t me = getpid();
  std::size_t elsewhere = 0;
  const auto take = [&] {
    const pid_t ran_in = peer.receive();
    if (ran_in > 0 && ran_in != me) ++elsewhere;
  };
  const auto pass = [&] {
    std::size_t in_flight = 0;
    for (std::size_t i = 0; i < tasks; ++i) {
      if (in_flight == Peer::window) {
        take();
        --in_flight;
      }
      peer.send();
      ++in_flight;
    }
    for (; in_flight > 0; --in_flight) take();
  };
  pass();
  elsewhere = 0;
  const auto start = clock::now();
  pass();
  const double n = static_cast<double>(tasks);
  return {{"ns", nanoseconds(clock::now() - start) / n}, {"elsewhere", static_cast<double>(elsewhere) / n}};
}

template <class Peer>
counters stream(std::size_t tasks) {
  Peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  return stream_through(peer, tasks / Peer::share);
}

counters stream_to_two(std::size_t tasks) {
  bench::remuda_process_peer peer(remuda::wait_policy::balanced, 2);
  return stream_through(peer, tasks);
}

/// From the handing over of an argument until a process on the other core that got a copy of it has answered. Making
/// the argument is not part of it.
template <class Peer>
counters payload(std::size_t count, std::size_t size) {
  Peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  const bytes original(size, 7);
  const pid_t me = getpid();
  const std::size_t warm_up = std::max<std::size_t>(count / 10, 2);
  latency_recorder recorder(count);
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < warm_up + count; ++i) {
    bytes argument = original;
    const auto start = clock::now();
    const pid_t ran_in = peer.ask_with(std::move(argument));
    const auto end = clock::now();
    if (i < warm_up) continue;
    recorder.record(end - start);
    if (ran_in > 0 && ran_in != me) ++elsewhere;
  }
  counters result = recorder.summary();
  result["elsewhere"] = static_cast<double>(elsewhere) / static_cast<double>(count);
  return result;
}

/// One copy inside this process, of bytes that were just written, as those of the other contestants were.
counters copy_once(std::size_t count, std::size_t size) {
  const bench::pinned_caller here;
  const bytes original(size, 7);
  bytes copy(size);
  latency_recorder recorder(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bytes argument = original;
    const auto start = clock::now();
    std::memcpy(copy.data(), argument.data(), size);
    benchmark::DoNotOptimize(copy.data());
    benchmark::ClobberMemory();
    recorder.record(clock::now() - start);
  }
  counters result = recorder.summary();
  result["elsewhere"] = 0;
  return result;
}

/// What handing over a large object costs at best that already lies in memory which both share: a reference to it.
counters hand_over_reference(std::size_t count) {
  bench::shm_ring_peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  latency_recorder recorder(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = clock::now();
    peer.ask();
    recorder.record(clock::now() - start);
  }
  counters result = recorder.summary();
  result["elsewhere"] = 1;
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bench;
  const auto s = settings::from(argc, argv);
  contest c;
  const std::size_t many = s.scaled(1U << 19);
  const auto python = [&](const std::string& row, const std::string& suffix, const char* function, unsigned workers,
                          std::size_t count) {
    for (const char* kind : python_processes::kinds) {
      c.add(row, kind + suffix, [=] { return python_processes::measure(kind, function, workers, count); });
    }
  };

  const char* row = "process_stream";
  const auto add_stream = [&]<class Peer>(Peer*) {
    c.add(row, Peer::name, leaving_nothing([=] { return stream<Peer>(many); }));
  };
  add_stream(static_cast<remuda_process_peer*>(nullptr));
  add_stream(static_cast<shm_ring_peer*>(nullptr));
  add_stream(static_cast<pipe_peer*>(nullptr));
  add_stream(static_cast<unix_socket_peer*>(nullptr));
  add_stream(static_cast<posix_mq_peer*>(nullptr));
  add_stream(static_cast<boost_mq_peer*>(nullptr));
  python(row, "", "stream", 1, many / python_processes::share);
  python(row, "_chunks_of_100", "stream_in_chunks", 1, many / 8);

  row = "process_stream_2_workers";
  c.add(row, remuda_process_peer::name, leaving_nothing([=] { return stream_to_two(many); }));
  python(row, "", "stream", 2, many / python_processes::share);

  row = "process_argument_1mib";
  const std::size_t large = s.scaled(400);
  const auto add_payload = [&]<class Peer>(Peer*) {
    c.add(row, Peer::name, leaving_nothing([=] { return payload<Peer>(large, mib); }));
  };
  add_payload(static_cast<remuda_process_peer*>(nullptr));
  c.add(row, "memcpy", leaving_nothing([=] { return copy_once(large, mib); }));
  add_payload(static_cast<chunked_ring_peer*>(nullptr));
  add_payload(static_cast<pipe_peer*>(nullptr));
  add_payload(static_cast<unix_socket_peer*>(nullptr));
  add_payload(static_cast<boost_mq_payload_peer*>(nullptr));
  python(row, "", "argument_1mib", 1, large / 8);

  // Shared buffers are not there yet; what there is, is a copy, under a name that says so.
  row = "process_argument_16mib";
  const std::size_t huge = s.scaled(40);
  c.add(row, remuda_process_peer::name, []() -> counters { throw not_offered("has no shared buffers"); });
  c.add(row, "remuda_copied", leaving_nothing([=] { return payload<remuda_process_peer>(huge, 16 * mib); }));
  c.add(row, "shm_reference", leaving_nothing([=] { return hand_over_reference(large * 10); }));
  python(row, "", "argument_16mib", 1, huge / 4);
  return c.run(argc, argv, s);
}
