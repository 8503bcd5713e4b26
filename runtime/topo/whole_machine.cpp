#include "runtime/topo/whole_machine.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "runtime/topo/cpu_list.hpp"
#include "runtime/topo/hwloc_machine.hpp"

namespace remuda::topo {

struct machine_source::loaded {
  hwloc_handle handle;
  known_machine known;
  bool is_this_machine;
};

namespace {

std::vector<unsigned> members(hwloc_const_bitmap_t of) {
  std::vector<unsigned> numbers;
  if (of == nullptr || hwloc_bitmap_weight(of) < 0) return numbers;  // an infinite set is no answer
  for (int each = hwloc_bitmap_first(of); each >= 0; each = hwloc_bitmap_next(of, each)) {
    if (static_cast<unsigned>(each) > largest_cpu_number) break;
    numbers.push_back(static_cast<unsigned>(each));
  }
  return numbers;
}

bool contains(const std::vector<unsigned>& sorted, unsigned number) {
  return std::binary_search(sorted.begin(), sorted.end(), number);
}

std::vector<whole_machine::cache> read_caches(hwloc_topology_t from, hwloc_obj_type_t type) {
  std::vector<whole_machine::cache> caches;
  for (hwloc_obj_t each = nullptr; (each = hwloc_get_next_obj_by_type(from, type, each)) != nullptr;) {
    caches.push_back({each->logical_index, each->attr->cache.size});
  }
  return caches;
}

void read_nodes(hwloc_topology_t from, whole_machine& into) {
  for (hwloc_obj_t each = nullptr; (each = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_NUMANODE, each)) != nullptr;) {
    whole_machine::node found;
    found.os_index = each->os_index;
    found.memory_bytes = each->attr->numanode.local_memory;
    for (const whole_machine::thread& thread : into.threads) found.cpus += thread.what.numa_node == found.os_index;
    into.nodes.push_back(found);
  }
  std::sort(into.nodes.begin(), into.nodes.end(),
            [](const whole_machine::node& a, const whole_machine::node& b) { return a.os_index < b.os_index; });
}

void read_kinds(const std::vector<std::string>& names, whole_machine& into) {
  for (const std::string& name : names) into.kinds.push_back({name, 0});
  for (whole_machine::thread& each : into.threads) {
    if (into.kinds.empty() || each.use == cpu_use::offline) continue;
    each.kind = each.what.efficiency_class;
    ++into.kinds[each.kind].threads;
  }
}

// A CPU that no longer runs: hwloc keeps its number only.
std::vector<unsigned> offline_cpus(hwloc_topology_t from) {
  const bitmap cpus(hwloc_bitmap_alloc());
  if (!cpus) return {};
  hwloc_bitmap_andnot(cpus.get(), hwloc_topology_get_complete_cpuset(from), hwloc_topology_get_topology_cpuset(from));
  return members(cpus.get());
}

}  // namespace

const char* to_string(cpu_use use) {
  switch (use) {
    case cpu_use::allowed:
      return "allowed";
    case cpu_use::not_in_mask:
      return "not in the mask";
    case cpu_use::not_in_cpuset:
      return "not in the cpuset";
    case cpu_use::offline:
      return "offline";
  }
  return "";
}

std::uint64_t whole_machine::memory_bytes() const {
  std::uint64_t sum = 0;
  for (const node& each : nodes) sum += each.memory_bytes;
  return sum;
}

machine_source::machine_source(std::unique_ptr<loaded> what) : loaded_(std::move(what)) {}
machine_source::~machine_source() = default;
machine_source::machine_source(machine_source&&) noexcept = default;
machine_source& machine_source::operator=(machine_source&&) noexcept = default;

machine_source machine_source::this_machine() {
  hwloc_handle handle = load_this_machine();
  known_machine known = read_machine(handle);
  return machine_source(std::make_unique<loaded>(loaded{std::move(handle), std::move(known), true}));
}

machine_source machine_source::described(const std::string& text) {
  hwloc_handle handle = load_described_machine(text);
  known_machine known = read_machine(handle);
  return machine_source(std::make_unique<loaded>(loaded{std::move(handle), std::move(known), false}));
}

bool machine_source::known() const { return loaded_->handle != nullptr; }

std::vector<unsigned> machine_source::cpus() const {
  std::vector<unsigned> numbers;
  numbers.reserve(loaded_->known.cpus.size());
  for (const cpu& each : loaded_->known.cpus) numbers.push_back(each.os_index);
  return numbers;
}

topology machine_source::usable(const os::cpu_mask& mask, double quota) const {
  return restrict(loaded_->known, mask.empty() ? all_cpus(loaded_->known) : mask, quota);
}

whole_machine machine_source::whole(const os::cpu_mask& mask) const {
  const known_machine& machine = loaded_->known;
  const os::cpu_mask usable = mask.empty() ? all_cpus(machine) : mask;
  os::cpu_mask every = all_cpus(machine);
  if (machine.cpus.empty()) every = usable;
  for (const unsigned each : usable.cpus()) every.add(each);

  whole_machine whole;
  whole.node_distances = machine.node_distances;
  std::vector<unsigned> in_cpuset = every.cpus();
  if (loaded_->handle != nullptr && loaded_->is_this_machine) {
    in_cpuset = members(hwloc_topology_get_allowed_cpuset(loaded_->handle.get()));
  }
  for (const cpu& each : restrict(machine, every, std::numeric_limits<double>::infinity()).cpus) {
    cpu_use use = cpu_use::allowed;
    if (!usable.contains(each.os_index)) {
      use = contains(in_cpuset, each.os_index) ? cpu_use::not_in_mask : cpu_use::not_in_cpuset;
    }
    whole.threads.push_back({each, unknown_id, use});
  }
  if (loaded_->handle == nullptr) return whole;

  const hwloc_topology_t from = loaded_->handle.get();
  for (const unsigned each : offline_cpus(from)) {
    const auto place = std::lower_bound(
        whole.threads.begin(), whole.threads.end(), each,
        [](const whole_machine::thread& thread, unsigned number) { return thread.what.os_index < number; });
    if (place != whole.threads.end() && place->what.os_index == each) continue;
    cpu nothing_known;
    nothing_known.os_index = each;
    nothing_known.core = unknown_id;
    whole.threads.insert(place, {nothing_known, unknown_id, cpu_use::offline});
  }
  whole.l2 = read_caches(from, HWLOC_OBJ_L2CACHE);
  whole.l3 = read_caches(from, HWLOC_OBJ_L3CACHE);
  read_nodes(from, whole);
  read_kinds(machine.kinds, whole);
  return whole;
}

std::string machine_source::xml() const {
  char* text = nullptr;
  int length = 0;
  if (!known() || hwloc_topology_export_xmlbuffer(loaded_->handle.get(), &text, &length, 0) != 0) return {};
  std::string copy(text, static_cast<std::size_t>(std::max(length - 1, 0)));  // without the terminating zero
  hwloc_free_xmlbuffer(loaded_->handle.get(), text);
  return copy;
}

}  // namespace remuda::topo
