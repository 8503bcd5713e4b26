#include "tools/remuda/settings_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace remuda::tool {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

std::string describe(const machine_fingerprint& m) {
  const auto many = [](unsigned n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
  return one_line(fmt::format("{}{}: {} on {}, {}, {}, {}", m.cpu_model.empty() ? "a CPU without a name" : m.cpu_model,
                              m.hypervisor.empty() ? "" : " under " + m.hypervisor, many(m.cpus, "CPU"),
                              many(m.cores, "core"), many(m.l3_caches, "L3 cache"), many(m.numa_nodes, "NUMA node"),
                              many(m.packages, "package")));
}

std::string settings_table(const profile& p) {
  std::string text;
  for (const setting_line& each : list_settings(p)) {
    const std::string note = each.value == each.built_in ? "" : fmt::format(" (built in: {})", each.built_in);
    fmt::format_to(std::back_inserter(text), "  {:<20} {}{}\n", each.name, each.value, note);
    if (!each.reason.empty()) fmt::format_to(std::back_inserter(text), "      {}\n", one_line(each.reason));
  }
  return text;
}

}  // namespace remuda::tool
