// Trying out, in a process of its own, what may crash, never end or eat all memory: a library on somebody's input.
#pragma once

#include <cstdint>
#include <functional>

namespace remuda::tool {

/// How a trial ended: with true, with false or an exception, by a signal or in any other way, or at its time limit.
enum class trial_end { well, refused, crashed, too_slow };

struct trial_limits {
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;  ///< of address space; none in builds with a sanitizer
  unsigned cpu_seconds = 20;
  unsigned seconds = 60;  ///< by the clock
};

/// Calls it in a forked child, which prints nothing and leaves no core, and waits for that. What the child changes in
/// memory is lost with it. Only for a process with one thread: the child has no other, and what others had locked would
/// stay so. SIGCHLD may be ignored, and has the default action meanwhile. Throws std::system_error where no child can
/// be started.
trial_end try_out(const std::function<bool()>& what, const trial_limits& limits = {});

}  // namespace remuda::tool
