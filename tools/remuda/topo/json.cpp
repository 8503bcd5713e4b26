// The form for scripts. Sets of CPUs and of workers are lists as the kernel writes them, "0-3,8": of a large machine
// arrays would be megabytes. What is not known is null.
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/topo/cpu_list.hpp"
#include "tools/remuda/topo/report.hpp"

namespace remuda::tool {
namespace {

using nlohmann::ordered_json;

ordered_json id_or_null(unsigned id) { return id == unknown_id ? ordered_json() : ordered_json(id); }

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json or_null(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

ordered_json machine_json(const topo_report& report) {
  const topo::whole_machine& whole = report.machine.whole;
  const auto workers = workers_of_threads(report);
  ordered_json cpus = ordered_json::array(), nodes = ordered_json::array(), kinds = ordered_json::array();
  for (std::size_t i = 0; i < whole.threads.size(); ++i) {
    const auto& each = whole.threads[i];
    cpus.push_back(
        {{"cpu", each.what.os_index},
         {"use", topo::to_string(each.use)},
         {"package", id_or_null(each.what.package)},
         {"node", id_or_null(each.what.numa_node)},
         {"l3", id_or_null(each.what.l3)},
         {"l2", id_or_null(each.what.l2)},
         {"core", id_or_null(each.what.core)},
         {"smt_rank", each.what.smt_rank},
         {"kind", each.kind < whole.kinds.size() ? ordered_json(whole.kinds[each.kind].name) : ordered_json()},
         {"workers", topo::to_cpu_list(workers[i])}});
  }
  for (const auto& each : whole.nodes) {
    nodes.push_back({{"node", each.os_index}, {"memory_bytes", each.memory_bytes}, {"cpus", each.cpus}});
  }
  for (const auto& each : whole.kinds) kinds.push_back({{"kind", each.name}, {"cpus", each.threads}});
  ordered_json distances;
  const std::size_t width = whole.nodes.size();
  if (width != 0 && whole.node_distances.size() == width * width) {
    for (std::size_t row = 0; row < width; ++row) {
      const auto begin = whole.node_distances.begin() + static_cast<std::ptrdiff_t>(row * width);
      distances.push_back(std::vector<unsigned>(begin, begin + static_cast<std::ptrdiff_t>(width)));
    }
  }
  const auto caches = [](const std::vector<topo::whole_machine::cache>& of) {
    ordered_json list = ordered_json::array();
    for (const auto& each : of) list.push_back({{"id", each.id}, {"bytes", each.bytes}});
    return list;
  };
  return {{"cpus", std::move(cpus)},
          {"nodes", std::move(nodes)},
          {"distances", std::move(distances)},
          {"l3", caches(whole.l3)},
          {"l2", caches(whole.l2)},
          {"kinds", std::move(kinds)},
          {"memory_bytes", whole.memory_bytes()}};
}

ordered_json limit_json(const topo::resource_limit& of) {
  return {{"soft", or_null(of.soft)}, {"hard", or_null(of.hard)}};
}

ordered_json host_json(const topo::host& host) {
  ordered_json groups = ordered_json::array();
  for (const auto& each : host.cgroups) {
    groups.push_back({{"version", each.version},
                      {"path", each.path},
                      {"folder", each.folder},
                      {"quota", or_null(each.quota)},
                      {"cpuset", or_null(each.cpuset)},
                      {"periods", each.periods},
                      {"throttled_periods", each.throttled_periods},
                      {"throttled_ns", each.throttled_ns}});
  }
  return {{"kernel", or_null(host.kernel)},
          {"cpu_model", or_null(host.cpu_model)},
          {"hypervisor", or_null(host.hypervisor)},
          {"online", topo::to_cpu_list(host.online)},
          {"isolated", topo::to_cpu_list(host.isolated)},
          {"nohz_full", topo::to_cpu_list(host.nohz_full)},
          {"rcu_nocbs", topo::to_cpu_list(host.rcu_nocbs)},
          {"governors", host.governors},
          {"frequency_driver", or_null(host.frequency_driver)},
          {"boost", or_null(host.boost)},
          {"smt_active", or_null(host.smt_active)},
          {"deepest_idle_us", or_null(host.deepest_idle_us)},
          {"clock_source", or_null(host.clock_source)},
          {"transparent_huge_pages", or_null(host.transparent_huge_pages)},
          {"huge_page_defrag", or_null(host.huge_page_defrag)},
          {"reserved_huge_pages", host.reserved_huge_pages},
          {"free_huge_pages", host.free_huge_pages},
          {"numa_balancing", or_null(host.numa_balancing)},
          {"memory_bytes", host.memory_bytes},
          {"load_1min", host.load_1min},
          {"steal_share", or_null(host.steal_share)},
          {"limits",
           {{"memlock", limit_json(host.memlock)},
            {"rtprio", limit_json(host.rtprio)},
            {"processes", limit_json(host.processes)},
            {"descriptors", limit_json(host.descriptors)}}},
          {"groups", std::move(groups)}};
}

ordered_json usable_json(const topology& usable, const default_pool& by_default) {
  std::vector<unsigned> cpus;
  cpus.reserve(usable.cpus.size());
  for (const cpu& each : usable.cpus) cpus.push_back(each.os_index);
  const double quota = usable.cpu_quota;
  return {{"cpus", topo::to_cpu_list(cpus)},
          {"quota", std::isinf(quota) ? ordered_json() : ordered_json(quota)},
          {"workers", by_default.workers},
          {"why", by_default.why}};
}

ordered_json workers_json(const topo_report& report) {
  ordered_json workers = ordered_json::array();
  for (unsigned w = 0; w < report.workers; ++w) {
    ordered_json rings = ordered_json::array();
    for (unsigned k = 0; k < report.placed.ring_count(w); ++k) {
      rings.push_back(
          {{"near", nearness(report, w, k)}, {"workers", topo::to_cpu_list(members(report.placed.ring(w, k)))}});
    }
    workers.push_back({{"worker", w}, {"cpu", report.placed.cpu_of(w).os_index}, {"rings", std::move(rings)}});
  }
  return workers;
}

}  // namespace

std::string to_json(const topo_report& report) {
  const ordered_json all = {{"described", !report.machine.is_this_machine},
                            {"machine", machine_json(report)},
                            {"usable", usable_json(report.machine.usable, report.by_default)},
                            {"host", report.host ? host_json(*report.host) : ordered_json()},
                            {"workers", workers_json(report)}};
  // Names come from files that may hold any bytes.
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace remuda::tool
