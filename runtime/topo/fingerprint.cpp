#include "runtime/topo/fingerprint.hpp"

#include <set>

#include "runtime/os/affinity.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/read_file.hpp"

namespace remuda {
namespace topo {
namespace {

/// What is not known of a CPU is nobody's.
unsigned distinct(const topology& machine, unsigned cpu::*member) {
  std::set<unsigned> ids;
  for (const cpu& each : machine.cpus) {
    if (each.*member != unknown_id) ids.insert(each.*member);
  }
  return static_cast<unsigned>(ids.size());
}

}  // namespace

machine_fingerprint fingerprint_of(const topology& whole, const host& facts) {
  machine_fingerprint m;
  m.cpu_model = facts.cpu_model;
  m.hypervisor = facts.hypervisor;
  m.cpus = static_cast<unsigned>(whole.cpus.size());
  m.cores = distinct(whole, &cpu::core);
  m.l3_caches = distinct(whole, &cpu::l3);
  m.numa_nodes = static_cast<unsigned>(whole.numa_nodes.size());
  m.packages = distinct(whole, &cpu::package);
  return m;
}

topology detect_all() { return detect_topology(os::cpu_mask{}); }

profile::cached_topology boot_state(const std::string& root) {
  profile::cached_topology state;
  state.boot_id = first_line(root + "/proc/sys/kernel/random/boot_id");
  state.online = "cpus " + first_line(root + "/sys/devices/system/cpu/online") + " nodes " +
                 first_line(root + "/sys/devices/system/node/online");
  return state;
}

bool still_holds(const profile::cached_topology& cached, const profile::cached_topology& now) {
  return !cached.xml.empty() && !now.boot_id.empty() && cached.boot_id == now.boot_id && cached.online == now.online;
}

}  // namespace topo

const machine_fingerprint& this_machine_fingerprint() {
  static const machine_fingerprint here = topo::fingerprint_of(topo::detect_all(), topo::read_host());
  return here;
}

std::string difference(const machine_fingerprint& there, const machine_fingerprint& here) {
  std::string text;
  const auto differ = [&text](const char* what, const std::string& a, const std::string& b) {
    if (a == b) return;
    if (!text.empty()) text += ", ";
    text += std::string(what) + " " + a + " there, " + b + " here";
  };
  const auto quoted = [](const std::string& s) { return '"' + s + '"'; };
  differ("CPU model", quoted(there.cpu_model), quoted(here.cpu_model));
  differ("hypervisor", quoted(there.hypervisor), quoted(here.hypervisor));
  differ("CPUs", std::to_string(there.cpus), std::to_string(here.cpus));
  differ("cores", std::to_string(there.cores), std::to_string(here.cores));
  differ("L3 caches", std::to_string(there.l3_caches), std::to_string(here.l3_caches));
  differ("NUMA nodes", std::to_string(there.numa_nodes), std::to_string(here.numa_nodes));
  differ("packages", std::to_string(there.packages), std::to_string(here.packages));
  return text;
}

}  // namespace remuda
