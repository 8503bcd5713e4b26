#include "tools/remuda/bench/conditions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "remuda/topology.hpp"

namespace remuda::tool::bench {
namespace {

/// The first line of /proc/stat: "cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL GUEST GUEST_NICE".
void read_ticks(look& l) {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  std::string name;
  words >> name;
  std::uint64_t ticks = 0;
  for (int i = 0; i < 8 && words >> ticks; ++i) {  // guest time is part of user time
    l.cpu_ticks += ticks;
    if (i == 7) l.steal_ticks = ticks;
  }
}

std::uint64_t throttled_ns(const topo::host& h) {
  std::uint64_t longest = 0;
  for (const auto& level : h.cgroups) longest = std::max(longest, level.throttled_ns);
  return longest;
}

std::string yes_or_no(bool b) { return b ? "on" : "off"; }

}  // namespace

look look_at_host() {
  look l;
  l.host = topo::read_host();
  read_ticks(l);
  return l;
}

void record(host_record& to, const look& before, const look& after) {
  const topo::host& h = after.host;
  const topology machine = detect_topology();
  to.cpu_model = h.cpu_model;
  to.kernel = h.kernel;
  to.hypervisor = h.hypervisor;
  to.usable_cpus = static_cast<unsigned>(machine.cpus.size());
  if (std::isfinite(machine.cpu_quota)) to.cpu_quota = machine.cpu_quota;
  to.governors = h.governors;
  to.frequency_driver = h.frequency_driver;
  to.boost = h.boost;
  to.smt_active = h.smt_active;
  to.clock_source = h.clock_source;
  to.transparent_huge_pages = h.transparent_huge_pages;
  to.memory_bytes = h.memory_bytes;
  to.load_before = before.host.load_1min;
  to.load_after = after.host.load_1min;
  if (after.cpu_ticks > before.cpu_ticks && after.steal_ticks >= before.steal_ticks) {
    to.steal_share = static_cast<double>(after.steal_ticks - before.steal_ticks) /
                     static_cast<double>(after.cpu_ticks - before.cpu_ticks);
  }
  if (const auto then = throttled_ns(before.host), now = throttled_ns(h); to.cpu_quota && now >= then) {
    to.throttled_ms = static_cast<double>(now - then) / 1e6;
  }
}

std::vector<fact> facts(const report& r) {
  const host_record& h = r.host;
  std::vector<fact> all;
  const auto add = [&all](const char* name, std::string value, bool same = true) {
    if (!value.empty()) all.push_back({name, std::move(value), same});
  };
  const auto add_switch = [&](const char* name, const std::optional<bool>& value) {
    if (value) add(name, yes_or_no(*value));
  };
  add("CPU", h.cpu_model);
  add("usable CPUs", std::to_string(h.usable_cpus));
  if (h.cpu_quota) add("CPU quota", fmt::format("{:.3g}", *h.cpu_quota));
  if (h.memory_bytes > 0) add("memory", fmt::format("{:.1f} GiB", static_cast<double>(h.memory_bytes) / (1 << 30)));
  add("kernel", h.kernel);
  add("hypervisor", h.hypervisor);
  add("governor", fmt::format("{}", fmt::join(h.governors, ", ")));
  add("frequency driver", h.frequency_driver);
  add_switch("boost", h.boost);
  add_switch("SMT", h.smt_active);
  add("clock source", h.clock_source);
  add("transparent huge pages", h.transparent_huge_pages);
  add("settings of the pools", h.profile.empty() ? "built in" : "profile " + h.profile);
  add("compiler", h.compiler);
  add("build type", h.build_type);
  add("version", h.version, false);
  add("rounds", r.quick ? "quick: fewer and smaller" : "full");
  add("load before and after", fmt::format("{:.2f}, {:.2f}", h.load_before, h.load_after), false);
  if (h.steal_share) add("stolen by the hypervisor", fmt::format("{:.2f} %", 100 * *h.steal_share), false);
  if (h.throttled_ms) add("stopped by the quota", fmt::format("{:.0f} ms", *h.throttled_ms), false);
  return all;
}

std::vector<std::string> doubts(const report& r) {
  const host_record& h = r.host;
  std::vector<std::string> all;
  if (r.quick) all.emplace_back("Quick rounds: a look, not a measurement.");
  if (!h.build_type.empty() && h.build_type != "Release" && h.build_type != "RelWithDebInfo") {
    all.push_back(
        fmt::format("The benchmark programs are a {} build, which is slower than what users run.", h.build_type));
  }
  if (h.load_before > 0.5) {
    all.push_back(fmt::format("The machine had other work before the run: load {:.2f}.", h.load_before));
  }
  if (h.steal_share.value_or(0) > 0.01) {
    all.push_back(
        fmt::format("The hypervisor gave {:.1f} % of the CPU time to others meanwhile.", 100 * *h.steal_share));
  }
  if (h.throttled_ms.value_or(0) > 0) {
    all.push_back(fmt::format("The CPU quota stopped the run for {:.0f} ms.", *h.throttled_ms));
  }
  if (std::any_of(h.governors.begin(), h.governors.end(), [](const auto& g) { return g != "performance"; })) {
    all.push_back(fmt::format("The frequency governor is {}; with 'performance' figures scatter less.",
                              fmt::join(h.governors, ", ")));
  }
  if (h.usable_cpus == 1) all.emplace_back("One usable CPU: nothing ran at the same time as anything else.");
  return all;
}

}  // namespace remuda::tool::bench
