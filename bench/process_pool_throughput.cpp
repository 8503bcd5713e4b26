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

/// Has `ask` done `count` times, after a warm-up; it tells which process answered. `prepare` comes before each, and is
/// not counted.
template <class Prepare, class Ask>
counters answers(std::size_t count, Prepare prepare, Ask ask) {
  const pid_t me = getpid();
  const std::size_t warm_up = std::max<std::size_t>(count / 10, 2);
  latency_recorder recorder(count);
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < warm_up + count; ++i) {
    prepare();
    const auto start = clock::now();
    const pid_t ran_in = ask();
    const auto end = clock::now();
    if (i < warm_up) continue;
    recorder.record(end - start);
    if (ran_in > 0 && ran_in != me) ++elsewhere;
  }
  counters result = recorder.summary();
  result["elsewhere"] = static_cast<double>(elsewhere) / static_cast<double>(count);
  return result;
}

/// From the handing over of an argument until a process on the other core that got a copy of it has answered. Making
/// the argument is not part of it.
template <class Peer>
counters payload(std::size_t count, std::size_t size) {
  Peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  const bytes original(size, 7);
  bytes argument;
  return answers(
      count, [&] { argument = original; }, [&] { return peer.ask_with(std::move(argument)); });
}

/// The same without any argument.
template <class Peer>
counters no_payload(std::size_t count) {
  Peer peer;
  const bench::pinned_caller here;
  bench::pin_process(peer.pid(), here.far());
  return answers(
      count, [] {}, [&] { return peer.ask(); });
}

using shared_bytes = remuda::shared_buffer<std::uint8_t>;

/// The task looks at both ends of the memory, which the caller has just changed.
pid_t look(const shared_bytes& shared, std::uint8_t expected) {
  return shared[0] == expected && shared[shared.size() - 1] == expected ? bench::this_process() : -1;
}

/// A shared buffer as argument: the same each time, or a new one, made and filled before the time begins.
counters shared_payload(std::size_t count, std::size_t size, bool new_each_time) {
  remuda::process_pool pool(bench::process_options(1, remuda::wait_policy::balanced));
  const bench::pinned_caller here;
  bench::pin_process(pool.stats().workers.at(0).pid, here.far());
  shared_bytes shared;
  std::uint8_t mark = 0;
  const auto prepare = [&] {
    ++mark;
    if (new_each_time || shared.empty()) {
      shared.reset();
      shared = pool.make_buffer<std::uint8_t>(size);
      std::memset(shared.data(), mark, size);
    }
    shared[0] = shared[size - 1] = mark;
  };
  return answers(count, prepare, [&] { return pool.submit(look, shared, mark).get(); });
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

  row = "process_argument_16mib";
  const std::size_t huge = s.scaled(40);
  const std::size_t shared = s.scaled(4'000);
  c.add(row, remuda_process_peer::name, leaving_nothing([=] { return shared_payload(shared, 16 * mib, false); }));
  c.add(row, "remuda_new_each_time", leaving_nothing([=] { return shared_payload(huge, 16 * mib, true); }));
  c.add(row, "remuda_no_argument", leaving_nothing([=] { return no_payload<remuda_process_peer>(shared); }));
  c.add(row, "remuda_copied", leaving_nothing([=] { return payload<remuda_process_peer>(huge, 16 * mib); }));
  c.add(row, "shm_ring_no_argument", leaving_nothing([=] { return no_payload<shm_ring_peer>(shared); }));
  c.add(row, "memcpy", leaving_nothing([=] { return copy_once(huge, 16 * mib); }));
  python(row, "_shared_memory", "shared_16mib", 1, shared / 8);
  python(row, "_pickled", "argument_16mib", 1, std::max<std::size_t>(huge / 8, 2));
  return c.run(argc, argv, s);
}
