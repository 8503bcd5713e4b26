#include "runtime/topo/hwloc_machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "runtime/topo/cpu_list.hpp"
#include "runtime/topo/whole_machine.hpp"

namespace remuda::topo {
namespace {

// Loads what `choose_source` has set, or gives null.
template <class ChooseSource>
hwloc_handle load(unsigned long more_flags, ChooseSource choose_source) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  hwloc_handle handle(raw);

  // Only what placement needs. I/O discovery alone, which walks all of PCI, would cost more than all the rest.
  hwloc_topology_set_all_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_NONE);
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_PACKAGE, HWLOC_OBJ_CORE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE}) {
    hwloc_topology_set_type_filter(raw, type, HWLOC_TYPE_FILTER_KEEP_ALL);
  }
  // Disallowed CPUs are included because the result is kept for the life of the process, and the cpuset may grow.
  // The binding is left alone because hwloc's CPUID backend would send the calling thread to each CPU in turn.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
                                    HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | more_flags);
  if (!choose_source(raw) || hwloc_topology_load(raw) != 0) return nullptr;
  return handle;
}

// Whether the kernel may tell kinds of cores: Intel's two, or capacities elsewhere. Where not, hwloc would read the
// frequencies of each CPU, which cost a start some milliseconds on large machines.
bool may_be_hybrid() {
#if defined(__x86_64__)
  return access("/sys/devices/cpu_atom/cpus", F_OK) == 0;
#else
  return access("/sys/devices/system/cpu/cpu0/cpu_capacity", F_OK) == 0;
#endif
}

// How many CPUs "pack:2 [numa] core:4 pu:2(..)" describes: the product of the numbers outside of brackets. hwloc would
// try to make any number of them.
std::uint64_t cpus_of_synthetic(const std::string& text) {
  std::uint64_t product = 1;
  int depth = 0;  // of brackets
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '[' || c == '(') ++depth;
    if (c == ']' || c == ')') --depth;
    const bool digit = c >= '0' && c <= '9';
    // A number that stands alone or after a colon; L2 and L3 have theirs within a word.
    if (digit && depth == 0 && !in_word) {
      char* end = nullptr;
      const std::uint64_t count = std::strtoull(text.c_str() + i, &end, 0);  // as hwloc reads it, 0x10 as well
      if (count > most_described_cpus) return count;
      product *= std::max<std::uint64_t>(count, 1);
      if (product > most_described_cpus) return product;
      i = static_cast<std::size_t>(end - text.c_str()) - 1;
    }
    in_word = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  return product;
}

bool can_exist(hwloc_topology_t loaded) {
  if (hwloc_get_nbobjs_by_type(loaded, HWLOC_OBJ_PU) > static_cast<int>(most_described_cpus)) return false;
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(loaded, HWLOC_OBJ_PU, pu)) != nullptr;) {
    if (pu->os_index > largest_cpu_number) return false;
  }
  return true;
}

unsigned id_of_ancestor(hwloc_topology_t loaded, hwloc_obj_type_t type, hwloc_obj_t of, unsigned if_none) {
  const hwloc_obj_t found = hwloc_get_ancestor_obj_by_type(loaded, type, of);
  return found != nullptr ? found->logical_index : if_none;
}

std::vector<cpu> read_cpus(hwloc_topology_t loaded) {
  std::vector<cpu> cpus;
  auto next_core = static_cast<unsigned>(std::max(0, hwloc_get_nbobjs_by_type(loaded, HWLOC_OBJ_CORE)));
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(loaded, HWLOC_OBJ_PU, pu)) != nullptr;) {
    cpu each;
    each.os_index = pu->os_index;
    each.core = id_of_ancestor(loaded, HWLOC_OBJ_CORE, pu, unknown_id);
    if (each.core == unknown_id) each.core = next_core++;
    each.l2 = id_of_ancestor(loaded, HWLOC_OBJ_L2CACHE, pu, unknown_id);
    each.l3 = id_of_ancestor(loaded, HWLOC_OBJ_L3CACHE, pu, unknown_id);
    each.package = id_of_ancestor(loaded, HWLOC_OBJ_PACKAGE, pu, unknown_id);
    // A CPU can be near several nodes, plain memory and fast or persistent memory; plain memory has the lowest number.
    const int node = pu->nodeset != nullptr ? hwloc_bitmap_first(pu->nodeset) : -1;
    if (node >= 0) each.numa_node = static_cast<unsigned>(node);
    cpus.push_back(each);
  }
  std::sort(cpus.begin(), cpus.end(), [](const cpu& a, const cpu& b) { return a.os_index < b.os_index; });
  return cpus;
}

std::string_view value_of(std::string_view name, unsigned info_count, const hwloc_info_s* infos) {
  for (unsigned i = 0; i < info_count; ++i) {
    if (name == infos[i].name) return infos[i].value;
  }
  return {};
}

// Intel names the types of its cores; of two kinds of another maker the faster one is what others call P.
std::string name_of_kind(unsigned index, unsigned count, std::string_view core_type) {
  if (core_type == "IntelAtom") return "E";
  if (core_type == "IntelCore") return "P";
  if (count == 2) return index == 0 ? "E" : "P";
  return "kind " + std::to_string(index);
}

// hwloc also tells kinds apart where their order is not known, and where nothing but the highest frequency differs, as
// it does between cores of one kind, of which some are better made.
void read_kinds(hwloc_topology_t loaded, known_machine& into) {
  const int count = hwloc_cpukinds_get_nr(loaded, 0);
  const bitmap of_kind(hwloc_bitmap_alloc());
  if (count < 2 || !of_kind) return;
  std::vector<std::string> names;
  std::vector<cpu> cpus = into.cpus;
  for (unsigned k = 0; k < static_cast<unsigned>(count); ++k) {
    int efficiency = -1;
    unsigned info_count = 0;
    hwloc_info_s* infos = nullptr;
    if (hwloc_cpukinds_get_info(loaded, k, of_kind.get(), &efficiency, &info_count, &infos, 0) != 0) return;
    const std::string_view core_type = value_of("CoreType", info_count, infos);
    if (efficiency < 0 || (core_type.empty() && value_of("LinuxCapacity", info_count, infos).empty())) return;
    names.push_back(name_of_kind(k, static_cast<unsigned>(count), core_type));
    for (cpu& each : cpus) {
      if (hwloc_bitmap_isset(of_kind.get(), each.os_index) != 0) each.efficiency_class = k;
    }
  }
  into.cpus = std::move(cpus);
  into.kinds = std::move(names);
}

std::vector<unsigned> read_nodes(hwloc_topology_t loaded) {
  std::vector<unsigned> nodes;
  for (hwloc_obj_t node = nullptr; (node = hwloc_get_next_obj_by_type(loaded, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    nodes.push_back(node->os_index);
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

std::vector<unsigned> read_distances(hwloc_topology_t loaded, const std::vector<unsigned>& nodes) {
  unsigned count = 1;
  hwloc_distances_s* matrix = nullptr;
  if (hwloc_distances_get_by_type(loaded, HWLOC_OBJ_NUMANODE, &count, &matrix, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) !=
          0 ||
      count == 0) {
    return {};
  }
  // The matrix may leave out nodes, and names the others in its own order.
  const std::size_t width = nodes.size();
  std::vector<unsigned> distances(width * width, topology::remote_distance);
  for (std::size_t i = 0; i < width; ++i) distances[i * width + i] = topology::local_distance;
  const auto position = [&](hwloc_obj_t node) {
    return static_cast<std::size_t>(std::lower_bound(nodes.begin(), nodes.end(), node->os_index) - nodes.begin());
  };
  for (std::size_t from = 0; from < matrix->nbobjs; ++from) {
    for (std::size_t to = 0; to < matrix->nbobjs; ++to) {
      const auto value = std::min<std::uint64_t>(matrix->values[from * matrix->nbobjs + to], unknown_id);
      distances[position(matrix->objs[from]) * width + position(matrix->objs[to])] = static_cast<unsigned>(value);
    }
  }
  hwloc_distances_release(loaded, matrix);
  return distances;
}

}  // namespace

hwloc_handle load_this_machine() {
  return load(may_be_hybrid() ? 0UL : static_cast<unsigned long>(HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS),
              [](hwloc_topology_t) { return true; });
}

hwloc_handle load_described_machine(const std::string& text) {
  const bool is_xml = text.starts_with("<");
  if (!is_xml && cpus_of_synthetic(text) > most_described_cpus) return nullptr;
  hwloc_handle loaded = load(0UL, [&](hwloc_topology_t raw) {
    if (is_xml) return hwloc_topology_set_xmlbuffer(raw, text.c_str(), static_cast<int>(text.size() + 1)) == 0;
    return hwloc_topology_set_synthetic(raw, text.c_str()) == 0;
  });
  return loaded && can_exist(loaded.get()) ? std::move(loaded) : nullptr;
}

known_machine read_machine(const hwloc_handle& handle) {
  if (!handle) return {};
  known_machine found;
  found.cpus = read_cpus(handle.get());
  found.numa_nodes = read_nodes(handle.get());
  found.node_distances = read_distances(handle.get(), found.numa_nodes);
  read_kinds(handle.get(), found);
  return found;
}

topology restrict(const known_machine& whole, const os::cpu_mask& mask, double quota) {
  topology result;
  result.numa_nodes = whole.numa_nodes;
  result.node_distances = whole.node_distances;
  result.cpu_quota = quota;

  unsigned next_core = 0;
  for (const cpu& each : whole.cpus) next_core = std::max(next_core, each.core + 1);
  auto known = whole.cpus.begin();
  for (const unsigned index : mask.cpus()) {
    known = std::find_if(known, whole.cpus.end(), [&](const cpu& each) { return each.os_index >= index; });
    if (known != whole.cpus.end() && known->os_index == index) {
      result.cpus.push_back(*known);
    } else {
      cpu unknown;
      unknown.os_index = index;
      unknown.core = next_core++;
      result.cpus.push_back(unknown);
    }
  }

  // Counted among the usable threads: where the mask leaves only the second thread of a core, that one is its first.
  std::vector<unsigned> threads_seen(next_core, 0);
  for (cpu& each : result.cpus) each.smt_rank = threads_seen[each.core]++;
  return result;
}

os::cpu_mask all_cpus(const known_machine& whole) {
  os::cpu_mask mask;
  for (const cpu& each : whole.cpus) mask.add(each.os_index);
  if (mask.empty()) mask.add(0);
  return mask;
}

}  // namespace remuda::topo
