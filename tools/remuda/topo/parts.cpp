#include "tools/remuda/topo/parts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>

namespace remuda::tool {
namespace {

// Where a CPU is, from the whole to the part. Ids that are not told are the same unknown_id and are skipped later.
using path = std::array<unsigned, 6>;
using order_of_levels = std::array<level, 6>;

constexpr order_of_levels packages_first{level::package, level::node, level::l3, level::l2, level::core, level::thread};
constexpr order_of_levels nodes_first{level::node, level::package, level::l3, level::l2, level::core, level::thread};

unsigned id_at(const cpu& where, level what) {
  switch (what) {
    case level::package:
      return where.package;
    case level::node:
      return where.numa_node;
    case level::l3:
      return where.l3;
    case level::l2:
      return where.l2;
    case level::core:
      return where.core;
    case level::machine:
    case level::thread:
      break;
  }
  return where.os_index;
}

bool a_node_spans_packages(const topo::whole_machine& whole) {
  std::map<unsigned, unsigned> package_of;
  for (const auto& each : whole.threads) {
    const auto [found, is_new] = package_of.emplace(each.what.numa_node, each.what.package);
    if (!is_new && found->second != each.what.package) return true;
  }
  return false;
}

bool cores_share_an_l2(const topo::whole_machine& whole) {
  std::map<unsigned, unsigned> core_of;
  for (const auto& each : whole.threads) {
    if (each.what.l2 == unknown_id) continue;
    const auto [found, is_new] = core_of.emplace(each.what.l2, each.what.core);
    if (!is_new && found->second != each.what.core) return true;
  }
  return false;
}

void add(part& into, const path& where, const order_of_levels& levels, std::size_t depth, std::size_t thread) {
  while (where[depth] == unknown_id) ++depth;  // a thread always has a number
  const bool is_new =
      into.parts.empty() || into.parts.back().what != levels[depth] || into.parts.back().id != where[depth];
  if (is_new) {
    part fresh;
    fresh.what = levels[depth];
    fresh.id = where[depth];
    fresh.thread = thread;
    into.parts.push_back(std::move(fresh));
  }
  if (depth + 1 < levels.size()) add(into.parts.back(), where, levels, depth + 1, thread);
}

}  // namespace

part parts_of(const topo::whole_machine& whole) {
  const order_of_levels& levels = a_node_spans_packages(whole) ? nodes_first : packages_first;
  const bool with_l2 = cores_share_an_l2(whole);
  std::vector<std::pair<path, std::size_t>> paths;
  paths.reserve(whole.threads.size());
  for (std::size_t i = 0; i < whole.threads.size(); ++i) {
    if (whole.threads[i].use == topo::cpu_use::offline) continue;
    path where{};
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const bool left_out = levels[k] == level::l2 && !with_l2;
      where[k] = left_out ? unknown_id : id_at(whole.threads[i].what, levels[k]);
    }
    paths.emplace_back(where, i);
  }
  std::sort(paths.begin(), paths.end());

  part machine;
  for (const auto& [where, thread] : paths) add(machine, where, levels, 0, thread);
  for (const auto& node : whole.nodes) {
    if (node.cpus != 0) continue;
    part alone;
    alone.what = level::node;
    alone.id = node.os_index;
    machine.parts.push_back(std::move(alone));
  }
  return machine;
}

std::uint64_t size_of(const topo::whole_machine& whole, const part& of) {
  if (of.what == level::node) {
    for (const auto& each : whole.nodes) {
      if (each.os_index == of.id) return each.memory_bytes;
    }
  }
  if (of.what != level::l2 && of.what != level::l3) return 0;
  for (const auto& each : of.what == level::l2 ? whole.l2 : whole.l3) {
    if (each.id == of.id) return each.bytes;
  }
  return 0;
}

}  // namespace remuda::tool
