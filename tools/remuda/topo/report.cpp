#include "tools/remuda/topo/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace remuda::tool {

std::string nearness(const topo_report& report, unsigned worker, unsigned ring) {
  const auto share = [](unsigned a, unsigned b) { return a == b && a != unknown_id; };
  const cpu& own = report.placed.cpu_of(worker);
  const cpu& other = report.placed.cpu_of(report.placed.ring(worker, ring)[0]);
  if (own.core == other.core) return "same core";
  if (own.numa_node != other.numa_node) {
    const unsigned distance = report.machine.usable.distance(own.numa_node, other.numa_node);
    return fmt::format("{} at distance {}", share(own.package, other.package) ? "same package" : "remote", distance);
  }
  if (share(own.l2, other.l2)) return "same L2";
  if (share(own.l3, other.l3)) return "same L3";
  return own.package == other.package ? "same node" : "other package of the node";
}

std::vector<unsigned> members(const topo::victim_ring& ring) {
  std::vector<unsigned> workers;
  workers.reserve(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i) workers.push_back(ring[i]);
  std::sort(workers.begin(), workers.end());
  return workers;
}

std::vector<std::vector<unsigned>> workers_of_threads(const topo_report& report) {
  const auto& threads = report.machine.whole.threads;
  std::vector<std::vector<unsigned>> on(threads.size());
  for (unsigned w = 0; w < report.placed.workers(); ++w) {
    const unsigned number = report.placed.cpu_of(w).os_index;
    const auto place = std::lower_bound(
        threads.begin(), threads.end(), number,
        [](const topo::whole_machine::thread& each, unsigned wanted) { return each.what.os_index < wanted; });
    if (place != threads.end()) on[static_cast<std::size_t>(place - threads.begin())].push_back(w);
  }
  return on;
}

std::vector<unsigned> cpus_of_use(const topo::whole_machine& whole, topo::cpu_use use) {
  std::vector<unsigned> numbers;
  for (const auto& each : whole.threads) {
    if (each.use == use) numbers.push_back(each.what.os_index);
  }
  return numbers;
}

}  // namespace remuda::tool
