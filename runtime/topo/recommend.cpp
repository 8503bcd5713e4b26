// The rules. Each is one function, which gives a value and one line that names what it rests on.
#include "runtime/topo/recommend.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/topo/profile_names.hpp"

namespace remuda::topo {
namespace {

/// Above this share of time, somebody else uses these CPUs so much that a worker should be free to leave one.
constexpr double crowded_share = 0.03;

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string duration(double ns) {
  if (ns < 1e3) return number(ns, 0) + " ns";
  if (ns < 1e6) return number(ns / 1e3, 1) + " us";
  return number(ns / 1e6, 1) + " ms";
}

std::string percent(double share) { return number(100 * share, 1) + " %"; }

std::string count_of(std::size_t n, const char* one, const char* many) {
  return std::to_string(n) + ' ' + (n == 1 ? one : many);
}

bool is_measured(const summary& s) { return s.repeats != 0 && std::isfinite(s.median) && s.median > 0; }

/// All that the rules ask of machine and measurement.
struct facts {
  const topology& machine;
  const host& set_up;
  const measurements* measured;

  std::size_t cpus = machine.cpus.size();
  std::size_t cores = count_cores();
  bool quota = machine.cpu_quota < static_cast<double>(cpus);
  bool throttled = was_throttled();
  bool reserved = are_all_reserved();
  /// How much of the time others take, and how this is known.
  double taken_share = 0;
  std::string taken_by{};

  std::size_t count_cores() const {
    std::set<unsigned> ids;
    for (const cpu& each : machine.cpus) ids.insert(each.core);
    return ids.size();
  }
  bool was_throttled() const {
    return std::any_of(set_up.cgroups.begin(), set_up.cgroups.end(),
                       [](const cgroup_level& level) { return level.throttled_periods != 0; });
  }
  /// Isolated from the scheduler and without its tick: an administrator has set them apart for programs that spin.
  bool are_all_reserved() const {
    const auto in = [](const std::vector<unsigned>& list, unsigned cpu) {
      return std::binary_search(list.begin(), list.end(), cpu);
    };
    return !machine.cpus.empty() && std::all_of(machine.cpus.begin(), machine.cpus.end(), [&](const cpu& each) {
      return in(set_up.isolated, each.os_index) && in(set_up.nohz_full, each.os_index);
    });
  }
  void look_who_else_is_here() {
    if (set_up.steal_share && *set_up.steal_share > taken_share) {
      taken_share = *set_up.steal_share;
      taken_by = "the hypervisor kept " + percent(taken_share) + " of the CPU time since boot for others (steal time)";
    }
    if (measured == nullptr || in_doubt()) return;
    std::vector<double> lost;
    lost.reserve(measured->jitter.size());
    for (const auto& each : measured->jitter) lost.push_back(each.lost_share);
    if (lost.empty()) return;
    const auto middle = lost.begin() + static_cast<std::ptrdiff_t>(lost.size() / 2);
    std::nth_element(lost.begin(), middle, lost.end());
    if (!(*middle > taken_share)) return;
    taken_share = *middle;
    taken_by = "a busy thread did not run for " + percent(taken_share) + " of the time (jitter, median of the CPUs)";
  }
  bool crowded() const { return taken_share > crowded_share; }
  /// A setting that follows from figures is only as good as they are: what was measured while others were at work for a
  /// moment is no reason to leave what is built in. What the system counts since boot is.
  bool in_doubt() const { return measured != nullptr && !measured->doubts.empty(); }
};

template <class T>
struct choice {
  T value;
  std::string reason;
};

choice<wait_policy> choose_policy(const facts& f) {
  if (f.cpus == 1) return {wait_policy::efficient, "one usable CPU: who spins keeps it from the one it waits for"};
  if (f.machine.usable() == 1) {
    return {wait_policy::efficient, "a quota of " + number(f.machine.cpu_quota, 2) +
                                        " CPUs: who spins uses up the time of the one it waits for"};
  }
  if (f.quota && f.throttled) {
    return {wait_policy::efficient, "the quota of " + number(f.machine.cpu_quota, 2) +
                                        " CPUs has stopped this group before: spinning would bring that about sooner"};
  }
  if (f.crowded()) return {wait_policy::efficient, "others want these CPUs: " + f.taken_by};
  if (f.reserved) {
    return {wait_policy::busy_poll,
            "all usable CPUs are set apart (isolated and nohz_full): sleeping would save nothing"};
  }
  std::string reason = count_of(f.cpus, "usable CPU", "usable CPUs");
  reason += f.taken_by.empty() ? ", and no sign of others that want them" : ", little taken by others: " + f.taken_by;
  return {wait_policy::balanced, std::move(reason)};
}

choice<worker_rule> choose_workers(const facts& f, wait_policy policy) {
  const std::string limit = f.quota
                                ? "; the quota of " + number(f.machine.cpu_quota, 2) +
                                      " CPUs, rounded down, bounds it at each start, so that the kernel never stops "
                                      "the workers for the rest of a period"
                                : "";
  const std::string now = ": " + count_of(f.cpus, "CPU", "CPUs") + " on " + count_of(f.cores, "core", "cores") + " now";
  if (policy == wait_policy::busy_poll && f.cores < f.cpus) {
    return {worker_rule::per_core,
            "workers that never sleep slow the other thread of their core (SMT): one for each core" + now + limit};
  }
  const char* const smt = f.cores < f.cpus ? "one for each usable CPU, first threads of cores first (SMT)"
                                           : "one for each usable CPU, none of which shares its core";
  return {worker_rule::per_cpu, smt + now + limit};
}

choice<bool> choose_pin(const facts& f) {
  if (f.crowded()) return {false, "a worker that is kept on its CPU waits for it while another is free: " + f.taken_by};
  if (f.reserved) return {true, "the kernel balances no load between isolated CPUs: unpinned workers would share one"};
  std::string reason = "caches stay warm, and memory and victims near";
  reason += f.taken_by.empty() ? "; nothing tells of others on these CPUs" : "; others take little: " + f.taken_by;
  return {true, std::move(reason)};
}

constexpr const char* doubtful = "built in: the measurements are in doubt";

choice<std::chrono::nanoseconds> choose_spin(const facts& f) {
  const tuned_settings built_in;
  if (f.in_doubt()) return {built_in.spin, doubtful};
  if (f.measured == nullptr || !is_measured(f.measured->wake_cold)) {
    return {built_in.spin, "built in: the wake-up (wake_cold) was not measured"};
  }
  const summary& wake = f.measured->wake_cold;
  const double call = is_measured(f.measured->futex_call) ? f.measured->futex_call.median : 0;
  // Twice: what a worker waits for may begin with a wake-up of somebody else, and a spin that ends just before the work
  // comes pays for the sleep too.
  const double wanted = 2 * (wake.median + call);
  const double rounded = std::clamp(std::round(wanted / 1e3) * 1e3, 5e3, 1e6);
  std::string reason =
      "twice what a sleep costs: wake-up " + duration(wake.median) + " (wake_cold, p90 " + duration(wake.p90) + ")";
  if (call > 0) reason += " and the call for it " + duration(call) + " (futex_call)";
  if (rounded != std::round(wanted / 1e3) * 1e3) reason += ", kept between 5 us and 1 ms";
  return {std::chrono::nanoseconds(static_cast<std::int64_t>(rounded)), std::move(reason)};
}

std::optional<nearness> nearness_named(const std::string& name) {
  if (name == "smt") return nearness::core;
  if (name == "remote") return nearness::machine;
  nearness value{};
  return from_name(name, value) ? std::optional(value) : std::nullopt;
}

struct cut_off {
  nearness near = nearness::machine;
  unsigned looks = 0;
};

choice<cut_off> choose_cut_off(const facts& f) {
  if (f.cpus == 1) return {{}, "one usable CPU: there is nobody farther away"};
  if (f.in_doubt()) return {{}, doubtful};
  if (f.measured == nullptr) return {{}, "built in, everywhere at once: the cost of steals was not measured"};
  std::vector<std::pair<nearness, double>> costs;
  for (const auto& each : f.measured->steals) {
    const auto how_near = nearness_named(each.nearness);
    if (how_near && is_measured(each.cost)) costs.emplace_back(*how_near, each.cost.median);
  }
  std::sort(costs.begin(), costs.end());
  if (costs.empty()) return {{}, "built in, everywhere at once: the cost of steals was not measured"};
  const double nearest = costs.front().second;
  const double farthest = costs.back().second;
  if (costs.size() == 1) {
    return {{}, "all workers are equally near: a steal costs " + duration(nearest) + " (steals)"};
  }
  if (farthest < 2 * nearest) {
    return {{},
            "the farthest steal costs " + duration(farthest) + ", the nearest " + duration(nearest) +
                " (steals): less than twice, so nobody is passed by"};
  }
  nearness near = costs.front().first;
  double beyond = farthest;
  for (const auto& [how_near, cost] : costs) {
    if (cost >= 2 * nearest) {
      beyond = cost;
      break;
    }
    near = how_near;
  }
  // As long as the dearer steal would take more, looks at the near ones are free.
  const double look = is_measured(f.measured->pause) ? std::max(f.measured->pause.median, 10.0) : 50.0;
  const double looks = std::clamp(std::ceil((beyond - nearest) / look), 1.0, 64.0);
  return {{near, static_cast<unsigned>(looks)},
          "a steal beyond " + std::string(name_of(near)) + " costs " + duration(beyond) + ", the nearest " +
              duration(nearest) + " (steals); the difference is spent on looking near first, " + duration(look) +
              " a look"};
}

choice<unsigned> choose_ring(const facts& f) {
  const tuned_settings built_in;
  if (f.in_doubt()) return {built_in.ring_slots, doubtful};
  if (f.measured == nullptr || !is_measured(f.measured->wake_cold) || !is_measured(f.measured->ring_round_trip)) {
    return {built_in.ring_slots, "built in: wake-up and ring (wake_cold, ring_round_trip) were not measured"};
  }
  const double wake = f.measured->wake_cold.median;
  const double trip = f.measured->ring_round_trip.median;
  // A quarter of a round trip a call, as a stream of calls overlaps. Not more than 512, a task each of which has to be
  // taken back when a worker dies; not less than 64, as such a ring costs 8 KiB.
  const double wanted = std::clamp(wake / (trip / 4), 64.0, 512.0);
  return {std::bit_ceil(static_cast<unsigned>(wanted)),
          "what a worker can run while the pool's thread is woken: " + duration(wake) + " (wake_cold), at " +
              duration(trip / 4) + " a call (a quarter of ring_round_trip), within 64 to 512"};
}

}  // namespace

profile recommend(const topology& usable, const host& set_up, const measurements* measured) {
  facts f{usable, set_up, measured};
  f.look_who_else_is_here();
  profile p;
  const auto take = [&p](const char* name, auto&& made, auto& into) {
    into = made.value;
    p.reasons[name] = std::move(made.reason);
  };
  tuned_settings& s = p.settings;
  take(setting::wait_policy, choose_policy(f), s.policy);
  take(setting::workers, choose_workers(f, s.policy), s.workers);
  take(setting::pin, choose_pin(f), s.pin);
  take(setting::spin, choose_spin(f), s.spin);
  take(setting::ring_slots, choose_ring(f), s.ring_slots);
  auto steals = choose_cut_off(f);
  s.steal_near = steals.value.near;
  s.near_looks = steals.value.looks;
  p.reasons[setting::steal_near] = steals.reason;
  p.reasons[setting::near_looks] =
      s.near_looks == 0 ? "no cut-off, see steal_near" : "how often, before farther victims are tried: see steal_near";
  p.reasons[setting::topology_from_cache] = "built in: reading the machine anew was not compared with reading its XML";
  return p;
}

}  // namespace remuda::topo
