// What a worker process is told when it is started.
#pragma once

#include <cstdint>
#include <type_traits>

namespace remuda::detail {

/// Travels as bytes from the parent through the zygote into the worker, all three being the same program.
struct worker_settings {
  std::uint32_t lane = 0;           ///< the place in the pool, the same for a replacement
  std::int32_t cpu = -1;            ///< the CPU that it is pinned to; -1: none
  std::uint64_t address_space = 0;  ///< bytes (RLIMIT_AS); 0: unlimited
  std::uint64_t cpu_seconds = 0;    ///< (RLIMIT_CPU); 0: unlimited
  std::uint64_t open_files = 0;     ///< descriptors (RLIMIT_NOFILE); 0: as in the parent
  std::uint64_t max_resident = 0;   ///< bytes after which it is replaced; 0: never
  std::uint64_t max_tasks = 0;      ///< tasks after which it is replaced; 0: never
  std::uint32_t harden = 0;         ///< bits of hardening; 0: none
  char name[16] = {};               ///< of its main thread, with a terminating zero; empty: as the zygote's
  std::uint64_t ring_capacity = 0;
  std::uint64_t argument_bytes = 0;
  std::uint64_t result_bytes = 0;
  std::uint64_t heap_bytes = 0;
  std::int64_t spin_ns = 0;
};
static_assert(std::is_trivially_copyable_v<worker_settings>);

/// The descriptors that the two sides of a lane share.
struct worker_fds {
  int segment = -1;
  int heap = -1;  ///< -1: none
  int bell = -1;  ///< an eventfd
  int out = -1;   ///< where stdout goes; -1: where the parent's goes
  int err = -1;   ///< where stderr goes; -1: where the parent's goes
};

/// What runs in a worker; it does not return.
using worker_function = void (*)(const worker_settings&, worker_fds);

}  // namespace remuda::detail
