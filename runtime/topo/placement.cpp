#include "runtime/topo/placement.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

namespace remuda::topo {
namespace {

// The node of some CPUs, as far as it matters here.
struct node {
  unsigned id;
  unsigned package;
  unsigned cores;  // usable ones
};

// How far one node is from another, to be compared. Nodes of the same package come first even where the machine gives
// no distances.
std::pair<bool, unsigned> farness(const topology& machine, const node& from, const node& to) {
  return {from.package != to.package, machine.distance(from.id, to.id)};
}

// All nodes with usable CPUs. The one to fill first comes first, the others follow by how far they are from it.
std::vector<node> nodes_to_fill(const topology& machine) {
  std::vector<node> nodes;
  for (const cpu& each : machine.cpus) {
    auto found = std::find_if(nodes.begin(), nodes.end(), [&](const node& n) { return n.id == each.numa_node; });
    if (found == nodes.end()) found = nodes.insert(nodes.end(), node{each.numa_node, each.package, 0});
    if (each.smt_rank == 0) ++found->cores;
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const node& a, const node& b) { return std::tuple(b.cores, a.id) < std::tuple(a.cores, b.id); });
  const node start = nodes.front();
  std::sort(nodes.begin() + 1, nodes.end(), [&](const node& a, const node& b) {
    return std::tuple(farness(machine, start, a), a.id) < std::tuple(farness(machine, start, b), b.id);
  });
  return nodes;
}

// Where a CPU is, from the whole to the part: rank of its node, package, L3, L2, core. CPUs with a longer common
// beginning are nearer to each other. By comparing beginnings, and not single ids, groups always nest, also on
// machines where a package holds several nodes, a node several packages, or an L3 spans two nodes.
using path = std::array<std::uint64_t, 5>;

path path_of(const cpu& each, std::size_t node_rank) {
  // A cache that is not told is shared by nobody beyond the next smaller part: it gets a number that no cache has.
  constexpr std::uint64_t made_up_l2 = std::uint64_t{1} << 32;
  constexpr std::uint64_t made_up_l3 = std::uint64_t{1} << 33;
  const std::uint64_t l2 = each.l2 != unknown_id ? each.l2 : made_up_l2 | each.core;
  const std::uint64_t l3 = each.l3 != unknown_id ? each.l3 : made_up_l3 | l2;
  return {node_rank, each.package, l3, l2, each.core};
}

std::size_t common_beginning(const path& a, const path& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
}

struct placed_cpu {
  path where;
  const cpu* what;
};

// All CPUs, so that near ones are neighbours.
std::vector<placed_cpu> by_nearness(const topology& machine, const std::vector<node>& nodes) {
  std::vector<placed_cpu> order;
  order.reserve(machine.cpus.size());
  for (const cpu& each : machine.cpus) {
    const auto home = std::find_if(nodes.begin(), nodes.end(), [&](const node& n) { return n.id == each.numa_node; });
    order.push_back({path_of(each, static_cast<std::size_t>(home - nodes.begin())), &each});
  }
  std::sort(order.begin(), order.end(), [](const placed_cpu& a, const placed_cpu& b) {
    return std::tie(a.where, a.what->os_index) < std::tie(b.where, b.what->os_index);
  });
  return order;
}

// Places in `order`, in the order in which workers get them: the first threads of the fast cores, those of slower ones,
// then the second threads in the same order.
std::vector<std::size_t> places_to_fill(const std::vector<placed_cpu>& order) {
  std::vector<std::size_t> places(order.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    const cpu& one = *order[a].what;
    const cpu& other = *order[b].what;
    return std::tie(one.smt_rank, other.efficiency_class) < std::tie(other.smt_rank, one.efficiency_class);
  });
  return places;
}

struct range {
  unsigned begin;
  unsigned end;
};

// For each of the sorted paths the ranges around it in which the first 1, 2 .. all steps agree: its node, the package
// within, .. its core. A range of size k ends where fewer than k steps agree with the neighbour.
using nested_ranges = std::array<range, std::tuple_size_v<path>>;

std::vector<nested_ranges> nest(const std::vector<path>& sorted) {
  const auto count = static_cast<unsigned>(sorted.size());
  std::vector<nested_ranges> around(count);
  std::array<unsigned, std::tuple_size_v<path>> begins{};
  for (unsigned i = 1; i <= count; ++i) {
    const std::size_t agree = i == count ? 0 : common_beginning(sorted[i - 1], sorted[i]);
    for (std::size_t k = agree; k < begins.size(); ++k) {
      for (unsigned j = begins[k]; j < i; ++j) around[j][k] = {begins[k], i};
      begins[k] = i;
    }
  }
  return around;
}

// The workers of one node, as a range of the workers sorted by nearness, and what they see of the others.
struct home {
  range own;
  const node* where;
  unsigned layout_begin = 0;          // where the view from this node starts
  std::vector<unsigned> remote_ends;  // of the growing stretches beyond the node
};

// The view from one node: its own workers, then those of the other nodes, nearest first.
void lay_out(const topology& machine, const std::vector<unsigned>& sorted, const std::vector<home>& homes, home& here,
             std::vector<unsigned>& layout) {
  const auto append = [&](const home& some) {
    layout.insert(layout.end(), sorted.begin() + some.own.begin, sorted.begin() + some.own.end);
  };
  const auto farness_of = [&](const home* other) { return farness(machine, *here.where, *other->where); };
  std::vector<const home*> others;
  for (const home& other : homes) {
    if (&other != &here) others.push_back(&other);
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](const home* a, const home* b) { return farness_of(a) < farness_of(b); });
  here.layout_begin = static_cast<unsigned>(layout.size());
  append(here);
  for (std::size_t i = 0; i < others.size(); ++i) {
    append(*others[i]);
    const bool last_of_ring = i + 1 == others.size() || farness_of(others[i]) != farness_of(others[i + 1]);
    if (last_of_ring) here.remote_ends.push_back(static_cast<unsigned>(layout.size()));
  }
}

}  // namespace

placement::placement(const topology& machine, unsigned workers) {
  const std::vector<node> nodes = nodes_to_fill(machine);
  const std::vector<placed_cpu> order = by_nearness(machine, nodes);
  const std::vector<std::size_t> places = places_to_fill(order);

  cpus_.reserve(workers);
  for (unsigned w = 0; w < workers; ++w) cpus_.push_back(*order[places[w % places.size()]].what);

  // Workers in order of nearness; from here on they are looked at in this order.
  const auto place_of = [&](unsigned worker) { return places[worker % places.size()]; };
  std::vector<unsigned> sorted(workers);
  std::iota(sorted.begin(), sorted.end(), 0U);
  std::stable_sort(sorted.begin(), sorted.end(), [&](unsigned a, unsigned b) { return place_of(a) < place_of(b); });
  std::vector<path> paths;
  paths.reserve(workers);
  for (const unsigned w : sorted) paths.push_back(order[place_of(w)].where);
  const std::vector<nested_ranges> around = nest(paths);

  std::vector<home> homes;
  std::vector<std::size_t> home_at;
  for (unsigned i = 0; i < workers; i = around[i].front().end) {
    home_at.resize(around[i].front().end, homes.size());
    homes.push_back({around[i].front(), &nodes[static_cast<std::size_t>(paths[i].front())], 0, {}});
  }
  layout_.reserve(homes.size() * workers);
  for (home& here : homes) lay_out(machine, sorted, homes, here, layout_);

  // The stretches of each worker: itself, the ranges that its path shares with others, the nodes farther and farther.
  std::vector<unsigned> rank_of(workers);  // in `sorted`
  for (unsigned i = 0; i < workers; ++i) rank_of[sorted[i]] = i;
  first_stretch_.reserve(std::size_t{workers} + 1);
  for (unsigned w = 0; w < workers; ++w) {
    const nested_ranges& mine = around[rank_of[w]];
    const home& here = homes[home_at[rank_of[w]]];
    const unsigned to_layout = here.layout_begin - here.own.begin;  // >= 0: views are n long, ranges less
    first_stretch_.push_back(static_cast<unsigned>(stretches_.size()));
    stretches_.push_back({rank_of[w] + to_layout, rank_of[w] + 1 + to_layout});
    const auto grow = [&](unsigned begin, unsigned end) {
      if (end - begin > stretches_.back().end - stretches_.back().begin) stretches_.push_back({begin, end});
    };
    for (std::size_t k = mine.size(); k-- > 0;) grow(mine[k].begin + to_layout, mine[k].end + to_layout);
    for (const unsigned end : here.remote_ends) grow(here.layout_begin, end);
  }
  first_stretch_.push_back(static_cast<unsigned>(stretches_.size()));
}

std::size_t placement::bytes() const {
  return cpus_.capacity() * sizeof(cpu) + layout_.capacity() * sizeof(unsigned) +
         stretches_.capacity() * sizeof(stretch) + first_stretch_.capacity() * sizeof(unsigned);
}

}  // namespace remuda::topo
