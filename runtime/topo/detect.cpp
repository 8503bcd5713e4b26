#include "runtime/topo/detect.hpp"

#include "runtime/topo/cgroup.hpp"
#include "runtime/topo/hwloc_machine.hpp"

namespace remuda::topo {
namespace {

const known_machine& this_machine() {
  static const known_machine loaded = read_machine(load_this_machine(loaded_for::placement));
  return loaded;
}

known_machine described_machine(const std::string& text) {
  return read_machine(load_described_machine(text, loaded_for::placement));
}

}  // namespace

topology detect_topology(const os::cpu_mask& mask) {
  return restrict(this_machine(), mask.empty() ? all_cpus(this_machine()) : mask, cpu_quota());
}

topology describe_topology(const std::string& text, double quota) {
  const known_machine described = described_machine(text);
  return restrict(described, all_cpus(described), quota);
}

topology describe_topology(const std::string& text, const os::cpu_mask& mask, double quota) {
  const known_machine described = described_machine(text);
  return restrict(described, mask.empty() ? all_cpus(described) : mask, quota);
}

}  // namespace remuda::topo

namespace remuda {

topology detect_topology() {
  os::cpu_mask mask;
  os::get_affinity(mask);  // where it is refused (a strict seccomp filter), the empty mask stands for all CPUs
  return topo::detect_topology(mask);
}

}  // namespace remuda
