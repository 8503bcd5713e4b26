// Where a thread may run, and what it is called. All functions act on the calling thread, those with an
// argument `thread` on another one if it is not 0.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace remuda::os {

/// A set of CPUs by OS index. It grows with the largest index, as the fixed cpu_set_t ends at 1024 CPUs.
class cpu_mask {
 public:
  cpu_mask() = default;
  explicit cpu_mask(const std::vector<unsigned>& cpus);

  void add(unsigned cpu);
  bool contains(unsigned cpu) const noexcept;
  bool empty() const noexcept;

  /// The members, ascending.
  std::vector<unsigned> cpus() const;

  /// Same members; the space that a mask has for more does not count.
  friend bool operator==(const cpu_mask& a, const cpu_mask& b) noexcept;

 private:
  friend int get_affinity(cpu_mask& mask) noexcept;
  friend int set_affinity(const cpu_mask& mask, pid_t thread) noexcept;

  std::vector<unsigned long> words_;  // laid out as the kernel does: bit b of word w is CPU w * bits-per-word + b
};

// The functions below return 0, or an errno value, and never throw: a pool that may not pin a thread, or not name it,
// still has to do its work.

/// Where the calling thread may run. On an error `mask` is unchanged.
int get_affinity(cpu_mask& mask) noexcept;

/// Lets the thread run on these CPUs only. EINVAL: none of them is online and within the cpuset.
int set_affinity(const cpu_mask& mask, pid_t thread = 0) noexcept;

/// Lets the thread run on one CPU only.
int pin_to_cpu(unsigned cpu, pid_t thread = 0) noexcept;

/// Names the calling thread, for debuggers, top and perf. Linux keeps 15 bytes; a longer name is cut, not refused.
int set_thread_name(std::string_view name) noexcept;

}  // namespace remuda::os
