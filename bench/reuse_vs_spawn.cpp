// What it costs to have an empty task done, from a plain call up to a program executed for it, and what follows for how
// long a task has to be: for the other core to be of use, and for the cost to be a tenth of the whole.

#include <sys/mman.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string_view>
#include <thread>

#include "bench/peers/remuda.hpp"
#include "bench/peers/remuda_process.hpp"
#include "bench/support/child.hpp"
#include "bench/support/contest.hpp"
#include "bench/support/forked_child.hpp"
#include "bench/support/leftovers.hpp"
#include "bench/support/pinning.hpp"
#include "bench/support/spawn.hpp"

namespace {

using namespace std::chrono_literals;
using bench::clock;
using bench::counters;
using bench::latency_recorder;

struct place {
  const void* thread;
  pid_t process;
  friend bool operator==(const place&, const place&) = default;
};

/// The empty task: it tells where it ran, or nobody would know that it did.
place here() {
  thread_local const char mark = 0;
  return {&mark, bench::this_process()};
}

/// `step` has the task done and returns where, `apart` after the last time.
template <class Step>
counters rung(std::size_t count, clock::duration apart, Step step) {
  const std::size_t warm_up = std::max<std::size_t>(count / 10, 1);
  latency_recorder recorder(count);
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < warm_up + count; ++i) {
    if (apart > 0ns) std::this_thread::sleep_for(apart);
    const auto start = clock::now();
    const place ran_at = step();
    const auto end = clock::now();
    if (i < warm_up) continue;
    recorder.record(end - start);
    if (!(ran_at == here())) ++elsewhere;
  }
  counters result = recorder.summary();
  result["elsewhere"] = static_cast<double>(elsewhere) / static_cast<double>(count);
  const double cost = result.at("p50_us");
  // Two tasks, one done there and one meanwhile here, take cost + task; both here, 2 * task.
  if (2 * elsewhere > count) result["even_at_us"] = cost;
  // cost / (cost + task) = 1 / 10
  result["tenth_at_us"] = 9 * cost;
  return result;
}

counters in_threads(std::size_t count, clock::duration apart, remuda::wait_policy policy) {
  bench::remuda_peer pool(1, policy);
  const bench::pinned_caller caller;
  pool.submit([&caller] { remuda::os::pin_to_cpu(caller.far()); }).get();
  return rung(count, apart, [&pool] { return pool.submit(here).get(); });
}

counters in_processes(std::size_t count, clock::duration apart, remuda::wait_policy policy) {
  remuda::process_pool pool(bench::process_options(1, policy));
  const bench::pinned_caller caller;
  bench::pin_process(pool.stats().workers.at(0).pid, caller.far());
  return rung(count, apart, [&pool] { return pool.submit(here).get(); });
}

place in_new_thread() {
  place ran_at{};
  std::thread([&ran_at] { ran_at = here(); }).join();
  return ran_at;
}

/// A child that runs the empty task and ends; told by its exit status.
place in_fork() {
  const pid_t pid = fork();
  if (pid < 0) bench::throw_errno("fork");
  if (pid == 0) _exit(EXIT_SUCCESS);
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error("the child failed");
  return {nullptr, pid};
}

/// Fork of a program that has a GiB in its memory, in pages of the size that the system gives.
counters fork_with_memory(std::size_t count) {
  constexpr std::size_t gib = std::size_t{1} << 30;
  void* const memory = mmap(nullptr, gib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) bench::throw_errno("mmap");
  const counters result = rung(count, 0ns, in_fork);
  munmap(memory, gib);
  return result;
}

place in_program(const std::string& program, const char* argument) {
  bench::spawn_and_wait({program, argument});
  return {nullptr, -1};  // in a process that is gone
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == bench::end_at_once) return EXIT_SUCCESS;
  const auto s = bench::settings::from(argc, argv);
  bench::contest c;
  const std::size_t hot = s.scaled(40'000);
  const std::size_t spaced = s.scaled(400);
  const std::size_t threads = s.scaled(2'000);
  const std::size_t forks = s.scaled(400);
  const std::size_t large_forks = s.scaled(20);
  const std::string own = bench::own_program();
  const auto add = [&c](const char* name, auto measure) {
    c.add("reuse_vs_spawn", name, bench::leaving_nothing(measure));
  };

  using enum remuda::wait_policy;
  add("inline_call", [=] {
    place (*volatile task)() = here;  // volatile: or the call would be gone, and nothing be measured
    return rung(hot, 0ns, [&] { return task(); });
  });
  add("remuda_thread_hot", [=] { return in_threads(hot, 0ns, balanced); });
  add("remuda_thread_parked", [=] { return in_threads(spaced, 1ms, efficient); });
  add("remuda_process_hot", [=] { return in_processes(hot, 0ns, balanced); });
  add("remuda_process_parked", [=] { return in_processes(spaced, 1ms, efficient); });
  add("std_thread", [=] { return rung(threads, 0ns, in_new_thread); });
  add("fork", [=] { return rung(forks, 0ns, in_fork); });
  add("fork_of_1gib", [=] { return fork_with_memory(large_forks); });
  add("posix_spawn_true", [=] { return rung(forks, 0ns, [] { return in_program("/bin/true", ""); }); });
  add("exec_own_program", [=] { return rung(forks, 0ns, [&own] { return in_program(own, bench::end_at_once); }); });
  return c.run(argc, argv, s);
}
