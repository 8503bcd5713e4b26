// The parent's view of one worker place: ring, memory, process. The place stays, the processes in it come and go.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "remuda/detail/remote_task.hpp"
#include "remuda/process_pool.hpp"
#include "runtime/lockfree/call_ring.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/proc/output.hpp"
#include "runtime/proc/payload_area.hpp"
#include "runtime/proc/segment.hpp"

namespace remuda::detail {

using call_ring = call_ring_caller<std_sync, call_slot>;

enum class lane_phase {
  empty,     ///< no process, none asked for
  starting,  ///< asked for; its first call, the initializer's, has not come back
  open,      ///< takes tasks
  ending,    ///< told to end, or killed: what lies in its ring is dealt with when it is gone
};

// Where a task lies, in one word: lane and position.
inline constexpr unsigned position_bits = 48;
inline constexpr std::uint64_t position_mask = (std::uint64_t{1} << position_bits) - 1;

struct alignas(2 * cache_line) lane {
  lane(std::uint32_t i, const segment_layout& layout)
      : index(i),
        memory(layout),
        ring(memory.slots(), layout.capacity),
        tasks(std::make_unique<atomic<state*>[]>(layout.capacity)),
        limits(layout.capacity) {}

  const std::uint32_t index;
  segment memory;
  call_ring ring;
  /// The task of each position, in slot order. Who takes it out by an exchange owns its outcome.
  std::unique_ptr<atomic<state*>[]> tasks;
  atomic<bool> receiving{false};  ///< somebody is the ring's receiver; others go on
  /// For a look without the lock: never true unless `phase` is open, false earlier when the process is known to be
  /// dead.
  atomic<bool> open{false};

  // Under `sending`: who holds it is the ring's sender.
  alignas(cache_line) std::mutex sending;
  lane_phase phase = lane_phase::empty;
  std::optional<payload_area> arguments;
  std::uint16_t modules_told = 1;
  std::vector<std::chrono::nanoseconds> limits;  ///< on the time of the task of each position, in slot order; 0: none
  /// Tasks with a time limit were sent to this process: a hint that looks are needed. Written under the lock.
  atomic<bool> timed{false};
  /// The oldest call, if it has a limit, and since when it is known to be the oldest.
  std::optional<std::pair<std::uint64_t, std::chrono::steady_clock::time_point>> timed_front;
  bool doomed = false;                 ///< it will be killed as soon as its pidfd is known, or is dead already
  bool opened_before = false;          ///< this process, or one before it in this place, has been open
  unsigned failed_starts = 0;          ///< processes in a row that died before the initializer had run
  std::unique_ptr<given_blocks> held;  ///< shared buffers of the task that it is killed for, until it is gone

  pid_t pid = -1;
  os::unique_fd pidfd;

  // Of the supervisor.
  os::unique_fd file;  ///< of the segment
  os::unique_fd bell;  ///< an eventfd
  os::unique_fd out, err;
  std::optional<output_lines> out_lines, err_lines;
  std::vector<std::pair<output_stream, std::string>> lines;  ///< read, and not handed on yet
  std::uint64_t seen_tail = 0;                               ///< at the last look for long tasks
  std::uint64_t audited_tail = 0;
  std::uint64_t replaced = 0;
  std::uint64_t run_before = 0;  ///< `run` when this process started

  atomic<std::uint64_t> run{0};  ///< results received from all its processes; written by the receiver

  lane_phase current_phase() {
    const std::lock_guard lock(sending);
    return phase;
  }
  /// Never one of remote_part's words for tasks that are in no ring.
  std::uint64_t place_of(std::uint64_t position) const {
    return (std::uint64_t{index} + 1) << position_bits | (position & position_mask);
  }
  atomic<state*>& task_at(std::uint64_t position) { return tasks[position & (ring.capacity() - 1)]; }
  std::chrono::nanoseconds& limit_at(std::uint64_t position) { return limits[position & (ring.capacity() - 1)]; }
  /// acq_rel: what the sender did to the task comes before, what the taker does after.
  state* take_task(std::uint64_t position) { return task_at(position).exchange(nullptr, std_sync::acq_rel); }
};

}  // namespace remuda::detail
