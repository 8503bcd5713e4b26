#include "tools/remuda/default_pool.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>

#include "remuda/error.hpp"
#include "runtime/sched/settings.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

std::string why_usable(const chosen_machine& machine) {
  const topology& usable = machine.usable;
  const std::size_t cpus = usable.cpus.size();
  const std::string mask = machine.is_this_machine || machine.mask_given
                               ? counted(cpus, "CPU") + " in the mask"
                               : counted(cpus, "CPU") + ", all of the machine";
  if (std::isinf(usable.cpu_quota)) return mask + ", no quota";
  if (usable.usable() == cpus && usable.cpu_quota >= static_cast<double>(cpus)) {
    return fmt::format("{}; the quota of {:g} CPUs allows them all", mask, usable.cpu_quota);
  }
  if (usable.cpu_quota < 1) {
    return fmt::format("{}; the quota of {:g} CPUs is less than one, and a pool has at least one worker", mask,
                       usable.cpu_quota);
  }
  const bool whole = std::floor(usable.cpu_quota) == usable.cpu_quota;
  return fmt::format("{}, but a quota of {:g} CPUs{}", mask, usable.cpu_quota,
                     whole ? "" : ", rounded down so that the kernel never stops a worker in mid-period");
}

}  // namespace

looked_at look_at_profile(const std::string& path) {
  looked_at seen;
  try {
    seen.what = load_profile(path);
    seen.why_not = detail::why_not(*seen.what);
  } catch (const error& e) {
    seen.why_not = e.what();
  }
  return seen;
}

default_pool default_pool_on(const chosen_machine& machine) {
  default_pool pool{machine.usable.usable(), why_usable(machine)};
  if (!machine.is_this_machine) return pool;
  const detail::found_profile found = detail::find_profile({});
  if (found.path.empty()) return pool;
  const looked_at seen = look_at_profile(found.path);
  if (!seen.why_not.empty()) return pool;
  const unsigned by_profile = detail::workers_of(seen.what->settings.workers, machine.usable);
  if (by_profile == pool.workers) return pool;
  return {by_profile, fmt::format("{}; the profile {} wants one for each core", pool.why, one_line(found.path))};
}

}  // namespace remuda::tool
