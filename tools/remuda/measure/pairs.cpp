#include "tools/remuda/measure/pairs.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "runtime/topo/nearness.hpp"
#include "runtime/topo/placement.hpp"

namespace remuda::tool {
namespace {

auto place_of(const cpu& c) { return std::tuple(c.package, c.numa_node, c.l3, c.l2, c.core, c.smt_rank, c.os_index); }

auto l3_of(const cpu& c) { return std::tuple(c.package, c.numa_node, c.l3); }

// So many of these, evenly spread; the first is one of them.
std::vector<std::size_t> spread(const std::vector<std::size_t>& all, std::size_t count) {
  if (count >= all.size()) return all;
  std::vector<std::size_t> some;
  some.reserve(count);
  for (std::size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return some;
}

}  // namespace

const char* name_of(nearness n) {
  static constexpr std::array<const char*, kinds_of_nearness> names{"smt", "l2", "l3", "node", "package", "remote"};
  return names.at(static_cast<std::size_t>(n));
}

std::vector<pair_of_nearness> one_pair_each(const std::vector<cpu>& cpus) {
  std::array<std::optional<cpu_pair>, kinds_of_nearness> found;
  std::size_t missing = found.size();
  for (std::size_t i = 0; i < cpus.size() && missing > 0; ++i) {
    for (std::size_t j = i + 1; j < cpus.size() && missing > 0; ++j) {
      auto& place = found.at(static_cast<std::size_t>(topo::nearness_of(cpus[i], cpus[j])));
      if (place) continue;
      place = cpu_pair{cpus[i].os_index, cpus[j].os_index};
      --missing;
    }
  }
  std::vector<pair_of_nearness> pairs;
  for (std::size_t k = 0; k < found.size(); ++k) {
    if (found.at(k)) pairs.push_back({static_cast<nearness>(k), *found.at(k)});
  }
  return pairs;
}

std::vector<cpu> choose_cpus(const topology& machine, std::size_t most) {
  std::vector<cpu> all = machine.cpus;
  std::sort(all.begin(), all.end(), [](const cpu& a, const cpu& b) { return place_of(a) < place_of(b); });
  if (all.size() <= most) return all;

  std::set<std::size_t> chosen;  // by place in `all`
  for (const auto& [kind, pair] : one_pair_each(all)) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].os_index == pair.first || all[i].os_index == pair.second) chosen.insert(i);
    }
  }
  std::vector<std::size_t> first_of_l3;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0 && l3_of(all[i]) == l3_of(all[i - 1])) continue;
    if (!chosen.contains(i)) first_of_l3.push_back(i);
  }
  for (const std::size_t i : spread(first_of_l3, most - chosen.size())) chosen.insert(i);

  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!chosen.contains(i)) others.push_back(i);
  }
  for (const std::size_t i : spread(others, most - chosen.size())) chosen.insert(i);

  std::vector<cpu> result;
  result.reserve(chosen.size());
  for (const std::size_t i : chosen) result.push_back(all[i]);
  return result;
}

std::optional<cpu_pair> near_pair(const topology& machine) {
  if (machine.cpus.size() < 2) return std::nullopt;
  const topo::placement placed(machine, 2);
  return cpu_pair{placed.cpu_of(0).os_index, placed.cpu_of(1).os_index};
}

}  // namespace remuda::tool
