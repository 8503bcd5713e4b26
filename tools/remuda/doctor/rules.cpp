#include "tools/remuda/doctor/rules.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tools/remuda/doctor/host_rules.hpp"
#include "tools/remuda/doctor/machine_rules.hpp"

namespace remuda::tool {
namespace {

struct rule {
  const char* id;
  std::optional<finding> (*look)(const patient& who);
};

// In order of effect: how long a task can be held up, and how often, where the rule applies.
constexpr std::array rules{
    rule{"throttled", throttled},                      // tens of ms, as has happened
    rule{"quota_below_one", quota_below_one},          // tens of ms in every period
    rule{"load", load},                                // ms, all the time
    rule{"quota", quota},                              // tens of ms, when more threads run than the quota allows
    rule{"stolen_time", stolen_time},                  // ms
    rule{"one_cpu", one_cpu},                          // ms: a time slice of the other threads
    rule{"clock_source", clock_source},                // us, at each look at the clock
    rule{"huge_pages", huge_pages},                    // ms, at page faults
    rule{"governor", governor},                        // a factor of two and more, after pauses
    rule{"deep_idle", deep_idle},                      // hundreds of us, after pauses
    rule{"node_without_memory", node_without_memory},  // every miss of the caches
    rule{"numa_balancing", numa_balancing},            // tens of us, in storms
    rule{"smt_sharing", smt_sharing},                  // a factor of up to two, under load
    rule{"partial_cores", partial_cores},              // the same, by strangers
    rule{"core_kinds", core_kinds},                    // a factor of up to two, for tasks on slow cores
    rule{"descriptors", descriptors},                  // a process pool that does not start
    rule{"processes", processes},                      // the same
    rule{"rtprio", rtprio},                            // ms, under load
    rule{"memlock", memlock},                          // us to ms, at page faults
    rule{"hypervisor", hypervisor},                    // us to tens of us, at each wake-up
    rule{"isolation", isolation},                      // us, at each tick and interrupt
    rule{"partial_caches", partial_caches},            // misses of the caches, by strangers
    rule{"boost", boost},                              // some tens of per cent, to and fro
    rule{"cpuset", cpuset},                            // fewer workers than the machine could have
    rule{"mask", mask},                                // the same
    rule{"offline_cpus", offline_cpus},                // the same
};

}  // namespace

const char* to_string(severity how_bad) {
  switch (how_bad) {
    case severity::hurts:
      return "hurts";
    case severity::may_hurt:
      return "may hurt";
    case severity::note:
      return "note";
  }
  return "";
}

std::vector<std::string> rule_ids() {
  std::vector<std::string> ids;
  ids.reserve(rules.size());
  for (const rule& each : rules) ids.emplace_back(each.id);
  return ids;
}

std::vector<finding> examine(const patient& who) {
  std::vector<finding> found;
  for (const rule& each : rules) {
    std::optional<finding> one = each.look(who);
    if (!one) continue;
    one->id = each.id;
    found.push_back(*std::move(one));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const finding& a, const finding& b) { return a.how_bad < b.how_bad; });
  return found;
}

}  // namespace remuda::tool
