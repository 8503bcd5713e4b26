#include "runtime/sched/seating.hpp"

#include <sched.h>

#include <stdexcept>
#include <vector>

#include "runtime/sched/pool_core.hpp"
#include "runtime/topo/detect.hpp"

namespace remuda::detail {

os::cpu_mask inherited_mask() {
  if (this_thread != nullptr) return this_thread->core->mask();
  os::cpu_mask mask;
  os::get_affinity(mask);
  return mask;
}

topology machine_within(const os::cpu_mask& mask) {
  return mask.empty() ? detect_topology() : topo::detect_topology(mask);
}

unsigned checked_workers(const std::string& pool, std::optional<unsigned> wanted, unsigned most,
                         const topology& machine) {
  const unsigned workers = wanted.value_or(machine.usable());
  if (workers == 0) throw std::invalid_argument(pool + ": 0 workers; a pool needs at least 1");
  if (workers > most) {
    throw std::invalid_argument(pool + ": " + std::to_string(workers) + " workers; at most " + std::to_string(most) +
                                " are supported");
  }
  return workers;
}

topo::placement place_workers(topology machine, unsigned workers) {
  const int here = ::sched_getcpu();
  if (workers < machine.cpus.size()) {
    std::erase_if(machine.cpus, [here](const cpu& c) { return static_cast<int>(c.os_index) == here; });
  }
  return {machine, workers};
}

nanoseconds spin_of(wait_policy policy) {
  switch (policy) {
    case wait_policy::efficient:
      return never_spin;
    case wait_policy::busy_poll:
      return always_spin;
    default:
      return balanced_spin;
  }
}

}  // namespace remuda::detail
