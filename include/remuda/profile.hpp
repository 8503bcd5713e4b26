// A profile: the settings that `remuda tune` found best for one machine, with the reason of each. Pools take from it
// what their options leave open. Plain data and its file format (JSON, with a version).
//
// Which file a pool reads, the first of these that says anything:
//   1. the pool's option `profile` (an empty string: none)
//   2. the environment variable REMUDA_PROFILE (empty: none; not looked at in a program that has set-user-id rights)
//   3. remuda/profile.json in the user's configuration folder ($XDG_CONFIG_HOME, or ~/.config), if it is there
//   4. none: the built-in settings, which are the defaults of tuned_settings
// A file that cannot be used (another machine's, of an unknown version, damaged, not a plain file, not readable) never
// stops a pool: one line on stderr per file and process says why, and the pool takes the built-in settings.
//
// What is not a setting, and why:
//   order of CPUs       there is one, computed at each start from the topology and the mask of that moment
//   worker count        a rule and not a number, so that it stays right under another mask or quota
//   waiting threads     how long a thread spins in get() belongs to no pool: it may wait for futures of several
//   inline threshold    a call's slot in the ring is two cache lines, fixed when the library is compiled: 80 bytes of
//                       payload travel inside, and a lower bound would only send through the area what fits anyway
//   payload areas       they are reserved addresses: their size costs nothing, so there is nothing to tune
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "remuda/wait_policy.hpp"

namespace remuda {

/// How many workers a pool gets that is not told a number. Both keep to the CPU quota, rounded down.
enum class worker_rule {
  per_cpu,   ///< one for each usable CPU, that is hardware thread
  per_core,  ///< one for each core that has a usable CPU
};

/// The nearest thing that two CPUs share.
enum class nearness { core, l2, l3, node, package, machine };

/// What tuning may change. The defaults are the built-in settings.
struct tuned_settings {
  worker_rule workers = worker_rule::per_cpu;
  /// Each worker is kept on its CPU.
  bool pin = true;
  wait_policy policy = wait_policy::balanced;
  /// How long a worker of either kind of pool, and a process pool's own thread, spins under wait_policy::balanced.
  std::chrono::nanoseconds spin{100'000};
  /// Steal cut-off: a worker that runs out of work looks `near_looks` times at the workers within `steal_near` before
  /// it looks at the others too. Never a limit for good: that would leave tasks lying beside workers without any.
  nearness steal_near = nearness::machine;
  unsigned near_looks = 0;
  /// Calls that may lie in the ring of one worker process; a power of two. More than are run while the pool's own
  /// thread is woken make nothing faster, and have to be taken back when the worker dies or is held up.
  unsigned ring_slots = 256;
  /// What hwloc knows of this machine is taken from the profile (profile::cached_topology), as long as it was read
  /// under the running kernel, since its boot.
  bool topology_from_cache = false;

  static constexpr std::chrono::nanoseconds most_spin{10'000'000};
  static constexpr unsigned most_looks = 1000;
  static constexpr unsigned least_slots = 16, most_slots = 4096;

  friend bool operator==(const tuned_settings&, const tuned_settings&) = default;
};

/// What tells one machine from another: all of it, whatever mask and quota leave of it at some moment.
struct machine_fingerprint {
  std::string cpu_model;
  std::string hypervisor;  ///< empty: none
  unsigned cpus = 0, cores = 0, l3_caches = 0, numa_nodes = 0, packages = 0;

  friend bool operator==(const machine_fingerprint&, const machine_fingerprint&) = default;
};

struct profile {
  static constexpr unsigned version = 1;  ///< of the file format; others are refused

  std::string made_at;  ///< UTC, ISO 8601
  std::string made_by;  ///< version of remuda
  machine_fingerprint machine;
  tuned_settings settings;
  /// One line for each setting, by its name in the file.
  std::map<std::string, std::string, std::less<>> reasons;

  /// The machine as hwloc described it, and when that holds.
  struct cached_topology {
    std::string boot_id;  ///< of the kernel that it was read under
    std::string online;   ///< CPUs and NUMA nodes that were online
    std::string xml;      ///< hwloc's; empty: none

    friend bool operator==(const cached_topology&, const cached_topology&) = default;
  } topology;

  friend bool operator==(const profile&, const profile&) = default;
};

/// One setting for people: its name in the file, its value there and when built in, and the reason.
struct setting_line {
  std::string name;
  std::string value;
  std::string built_in;
  std::string reason;  ///< empty: none is given
};

/// All settings, in the order of the file.
std::vector<setting_line> list_settings(const profile&);

/// JSON text, with a newline at its end.
std::string to_json(const profile&);

/// Throws remuda::error with the reason for every text that is not a whole, valid profile of this version.
profile profile_from_json(const std::string& text);

/// Reads a file. Throws remuda::error with the reason; never blocks on a pipe or a device.
profile load_profile(const std::string& path);

/// Of this machine. Read once per process.
const machine_fingerprint& this_machine_fingerprint();

/// In which members two machines differ, as text; empty when in none.
std::string difference(const machine_fingerprint& there, const machine_fingerprint& here);

/// What a pool runs with, from its options, its profile and what is built in.
struct pool_settings {
  unsigned workers = 1;
  bool pin = true;
  wait_policy policy = wait_policy::balanced;
  std::chrono::nanoseconds spin{};  ///< 0: never; the greatest value: always
  nearness steal_near = nearness::machine;
  unsigned near_looks = 0;
  unsigned ring_slots = 0;  ///< process pools only
  std::string profile;      ///< the file that was used; empty: none
};

}  // namespace remuda
