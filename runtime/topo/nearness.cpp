#include "runtime/topo/nearness.hpp"

namespace remuda::topo {

nearness nearness_of(const cpu& a, const cpu& b) {
  const auto share = [&](unsigned cpu::*part) { return a.*part != unknown_id && a.*part == b.*part; };
  if (a.core == b.core) return nearness::core;
  if (share(&cpu::l2)) return nearness::l2;
  if (share(&cpu::l3)) return nearness::l3;
  if (share(&cpu::numa_node)) return nearness::node;
  if (a.numa_node == b.numa_node && a.package == b.package) return nearness::node;  // where no nodes are told
  if (share(&cpu::package)) return nearness::package;
  return nearness::machine;
}

unsigned rings_within(const placement& workers, unsigned worker, nearness farthest) {
  const unsigned count = workers.ring_count(worker);
  for (unsigned i = 0; i < count; ++i) {
    // All of a ring are equally near.
    if (nearness_of(workers.cpu_of(worker), workers.cpu_of(workers.ring(worker, i)[0])) > farthest) return i;
  }
  return count;
}

}  // namespace remuda::topo
