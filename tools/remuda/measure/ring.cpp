// A call to another process and its answer, over the ring of the process pool in shared memory: what two processes can
// do at best, without doorbell, pool or future.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <new>

#include "remuda/config.hpp"
#include "runtime/lockfree/call_ring.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/memfd.hpp"
#include "runtime/os/pidfd.hpp"
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {
namespace {

using sync = detail::std_sync;

struct alignas(2 * cache_line) ring_slot {
  detail::atomic<std::uint32_t> word{0};
  std::uint64_t value = 0;
};

constexpr std::uint32_t capacity = 8;

}  // namespace

struct ring_memory {
  std::array<ring_slot, capacity> slots;
  alignas(2 * cache_line) flag over{false};                // by the parent: the other process is to end
  alignas(2 * cache_line) detail::atomic<int> pinned{-1};  // by the child: the errno value of it; -1 = not yet
};

void serve_ring(ring_memory& shared) {
  detail::call_ring_server<sync, ring_slot> server(shared.slots.data(), capacity);
  for (;;) {
    ring_slot* call = nullptr;
    const bool called =
        await([&] { return (call = server.take()) != nullptr; }, [&] { return shared.over.load(sync::acquire); });
    if (!called) return;
    ++call->value;
    server.finish();
  }
}

namespace {

struct unmap {
  void operator()(ring_memory* memory) const { munmap(memory, sizeof(ring_memory)); }
};
using mapping = std::unique_ptr<ring_memory, unmap>;

mapping map_ring() {
  const os::unique_fd file = os::make_memfd("remuda-measure", sizeof(ring_memory));
  void* const at = mmap(nullptr, sizeof(ring_memory), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) os::throw_errno(errno, "cannot map memory for two processes");
  return mapping(new (at) ring_memory);
}

// The other process; ended and reaped by the destructor.
class server_process {
 public:
  server_process(ring_memory& shared, unsigned cpu, ring_server server) : shared_(shared) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) os::throw_errno(errno, "cannot start a second process");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      signal(SIGINT, SIG_IGN);  // Ctrl-C reaches both; the parent ends this one
      signal(SIGTERM, SIG_DFL);
      const int refused = os::pin_to_cpu(cpu);
      shared.pinned.store(refused, sync::release);
      if (refused == 0) server(shared);
      _exit(0);
    }
    try {
      handle_ = os::pidfd_open(child);
    } catch (...) {
      kill(child, SIGKILL);  // not reaped yet, so nobody else has its number
      while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
      }
      throw;
    }
    await([&] { return shared.pinned.load(sync::acquire) != -1; }, [&] { return ended() || interrupts::seen() != 0; });
    if (const int refused = shared.pinned.load(sync::acquire); refused > 0) {
      end();
      throw cannot_pin(cpu, refused);
    }
  }
  ~server_process() { end(); }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;

  bool ended() const { return os::has_ended(handle_.get()); }

 private:
  void end() {
    shared_.over.store(true, sync::release);
    if (!os::wait_until_ended(handle_.get(), std::chrono::seconds(interrupts::seen() != 0 ? 0 : 2))) {
      os::send_signal(handle_.get(), SIGKILL);
      os::wait_until_ended(handle_.get(), std::chrono::seconds(10));
    }
    os::reap(handle_.get());
  }

  ring_memory& shared_;
  os::unique_fd handle_;
};

}  // namespace

void measure_ring(cpu_pair cpus, const limit& until, samples& round_trips, ring_server server) {
  constexpr int batch = 32;
  constexpr std::chrono::seconds patience{30};  // for a batch
  const mapping memory = map_ring();
  const server_process other(*memory, cpus.second, server);
  on_cpu(cpus.first, [&] {
    detail::call_ring_caller<sync, ring_slot> caller(memory->slots.data(), capacity);
    auto start = clock::now();
    const auto give_up = [&] {
      if (interrupts::seen() != 0) return true;
      if (other.ended()) throw std::runtime_error("the second process ended while it was measured; try again");
      if (clock::now() - start > patience)
        throw std::runtime_error("the second process does not answer; is it stopped?");
      return false;
    };
    const auto round_trip = [&] {  // false: interrupted
      const std::uint64_t question = caller.head();
      caller.next().value = question;
      caller.publish();
      auto look = detail::call_look::nothing;
      if (!await([&] { return (look = caller.look()) != detail::call_look::nothing; }, give_up)) return false;
      if (look == detail::call_look::corrupt || caller.front().value != question + 1) {
        throw std::runtime_error("the second process answered wrongly over shared memory");
      }
      caller.release();
      return true;
    };
    for (bool warm_up = true;; warm_up = false) {
      start = clock::now();
      for (int i = 0; i < batch; ++i) {
        if (!round_trip()) return;
      }
      if (warm_up) continue;
      round_trips.add(nanoseconds_between(start, clock::now()) / batch);
      if (until.reached()) return;
    }
  });
}

}  // namespace remuda::tool
