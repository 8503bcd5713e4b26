// Rows of the process-pool table that are neither delays of tasks nor throughput: starting and stopping, replacing a
// worker, memory.

#include <csignal>
#include <optional>
#include <utility>

#include "bench/peers/pipe.hpp"
#include "bench/peers/python_processes.hpp"
#include "bench/peers/remuda_process.hpp"
#include "bench/support/child.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/leftovers.hpp"
#include "bench/support/process_memory.hpp"
#include "bench/support/spawn.hpp"

namespace {

using bench::clock;
using bench::counters;
using bench::latency_recorder;

/// make() gives something with ask(); from there to the first answer, and until it has been destroyed.
template <class Make>
counters start_stop(std::size_t count, Make make) {
  latency_recorder start(count);
  latency_recorder stop(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = clock::now();
    auto workers = make();
    const bool elsewhere = workers->ask() != getpid();
    const auto started = clock::now();
    workers.reset();
    stop.record(clock::now() - started);
    start.record(started - begin);
    if (!elsewhere) throw std::runtime_error("ran in the caller");
  }
  counters result = start.summary();
  result["stop_p50_us"] = stop.summary().at("p50_us");
  return result;
}

class started_pool {
 public:
  explicit started_pool(remuda::start_method how)
      : pool_(bench::process_options(2, remuda::wait_policy::balanced, how)) {}
  pid_t ask() {
    return pool_.submit([] { return getpid(); }).get();  // not this_process(): a fork may have inherited its answer
  }

 private:
  remuda::process_pool pool_;
};

struct two_forked {
  bench::pipe_peer first;
  bench::pipe_peer second;
  pid_t ask() { return first.ask(); }
};

/// This program, executed and ended before it does anything: part of every start that is not a fork.
counters execute_own(std::size_t count) {
  latency_recorder recorder(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = clock::now();
    bench::spawn_and_wait({bench::own_program(), bench::end_at_once});
    recorder.record(clock::now() - begin);
  }
  return recorder.summary();
}

/// From the kill of the only worker until another process has answered.
counters replace_in_pool(std::size_t count) {
  remuda::process_pool pool(bench::process_options(1, remuda::wait_policy::balanced));
  remuda::task_options again;
  again.retries = 8;  // a task that the dying worker had taken
  latency_recorder recorder(count);
  for (std::size_t i = 0; i < count; ++i) {
    const pid_t old = pool.submit(bench::this_process).get();
    const auto begin = clock::now();
    kill(old, SIGKILL);
    while (pool.submit(again, bench::this_process).get() == old) {
    }
    recorder.record(clock::now() - begin);
  }
  return recorder.summary();
}

counters replace_by_hand(std::size_t count) {
  std::optional<bench::pipe_peer> peer(std::in_place);
  latency_recorder recorder(count);
  for (std::size_t i = 0; i < count; ++i) {
    peer->ask();
    const auto begin = clock::now();
    peer.reset();  // kills and reaps
    peer.emplace();
    peer->ask();
    recorder.record(clock::now() - begin);
  }
  return recorder.summary();
}

counters memory_in_pool(std::size_t tasks) {
  remuda::process_pool pool(bench::process_options(2, remuda::wait_policy::balanced));
  for (std::size_t i = 0; i < tasks; ++i) pool.submit(bench::this_process).get();
  counters sum;
  const auto workers = pool.stats().workers;
  for (const auto& w : workers) {
    for (const auto& [name, value] : bench::memory_of(w.pid)) sum[name] += value / static_cast<double>(workers.size());
  }
  return sum;
}

counters memory_of_fork() {
  bench::pipe_peer peer;
  peer.ask();
  return bench::memory_of(peer.pid());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bench;
  if (argc == 2 && std::string_view(argv[1]) == end_at_once) return EXIT_SUCCESS;
  const auto s = settings::from(argc, argv);
  contest c;
  const auto python = [&](const std::string& row, const char* function, unsigned workers, std::size_t count) {
    for (const char* kind : python_processes::kinds) {
      c.add(row, kind, [=] { return python_processes::measure(kind, function, workers, count); });
    }
  };

  const char* row = "process_start";
  const std::size_t starts = s.scaled(40);
  for (const auto& [name, how] :
       {std::pair{"remuda", remuda::start_method::zygote}, std::pair{"remuda_fork", remuda::start_method::fork}}) {
    c.add(row, name, leaving_nothing([=, how = how] {
            return start_stop(starts, [how] { return std::make_unique<started_pool>(how); });
          }));
  }
  c.add(row, "fork_twice", leaving_nothing([=] { return start_stop(starts, std::make_unique<two_forked>); }));
  c.add(row, "exec_own_and_end", leaving_nothing([=] { return execute_own(starts); }));
  python(row, "start_stop", 2, std::max<std::size_t>(starts / 8, 2));

  row = "process_replace";
  const std::size_t deaths = s.scaled(80);
  c.add(row, remuda_process_peer::name, leaving_nothing([=] { return replace_in_pool(deaths); }));
  c.add(row, "fork", leaving_nothing([=] { return replace_by_hand(deaths); }));
  python(row, "replace", 1, std::max<std::size_t>(deaths / 16, 2));

  row = "process_memory";
  c.add(row, remuda_process_peer::name, leaving_nothing([] { return memory_in_pool(1000); }));
  c.add(row, "fork", leaving_nothing([] { return memory_of_fork(); }));
  python(row, "memory", 2, 1000);
  return c.run(argc, argv, s);
}
