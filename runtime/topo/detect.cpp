#include "runtime/topo/detect.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <utility>

#include "runtime/topo/cgroup.hpp"
#include "runtime/topo/hwloc_machine.hpp"

namespace remuda::topo {
namespace {

known_machine described_machine(const std::string& text) { return read_machine(load_described_machine(text)); }

// What this machine is, once it is known. Never destroyed: pools with static storage duration may be made late.
struct known_once {
  std::once_flag known;
  known_machine what;
};

known_once& here() {
  static auto* const only = new known_once;
  return *only;
}

known_machine look_at_this_machine() { return read_machine(load_this_machine()); }

const known_machine& this_machine() {
  std::call_once(here().known, [] { here().what = look_at_this_machine(); });
  return here().what;
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

bool adopt_machine(const std::string& xml) {
  bool adopted = false;
  std::call_once(here().known, [&] {
    known_machine described = described_machine(xml);
    adopted = !described.cpus.empty();
    here().what = adopted ? std::move(described) : look_at_this_machine();
  });
  return adopted;
}

load_times time_loading(const std::string& xml) {
  using clock = std::chrono::steady_clock;
  constexpr int rounds = 9;
  std::array<double, rounds> looked{}, read{};
  for (int i = 0; i < rounds; ++i) {
    const auto start = clock::now();
    const bool one = look_at_this_machine().cpus.empty();
    const auto middle = clock::now();
    const bool other = described_machine(xml).cpus.empty();
    const auto end = clock::now();
    if (one || other) return {};
    const auto at = static_cast<std::size_t>(i);
    looked[at] = std::chrono::duration<double, std::nano>(middle - start).count();
    read[at] = std::chrono::duration<double, std::nano>(end - middle).count();
  }
  const auto median = [](std::array<double, rounds>& all) {
    std::nth_element(all.begin(), all.begin() + rounds / 2, all.end());
    return all[rounds / 2];
  };
  return {median(looked), median(read)};
}

}  // namespace remuda::topo

namespace remuda {

topology detect_topology() {
  os::cpu_mask mask;
  os::get_affinity(mask);  // where it is refused (a strict seccomp filter), the empty mask stands for all CPUs
  return topo::detect_topology(mask);
}

}  // namespace remuda
