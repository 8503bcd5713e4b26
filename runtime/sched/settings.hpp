// Where a pool, of threads or of processes, gets its settings: from its options, else from a profile, else from what is
// built in. The only place that knows of all three. include/remuda/profile.hpp tells which file is read.
#pragma once

#include <optional>
#include <string>

#include "remuda/profile.hpp"
#include "remuda/topology.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/sync/spin.hpp"

namespace remuda::detail {

enum class profile_source { none, option, environment, user_folder };

/// The file that a pool with this option would read, and why this one.
struct found_profile {
  profile_source source = profile_source::none;
  std::string path;  ///< empty: none
};
found_profile find_profile(const std::optional<std::string>& option);

/// Where the user's own profile lies, whether it is there or not; empty when the environment does not say.
std::string user_profile_path();

/// Why this profile is not one for the machine that runs this; empty when it is.
std::string why_not(const profile& p);

/// What a pool's options say of these.
struct asked_settings {
  std::optional<std::string> profile;
  std::optional<unsigned> workers;
  std::optional<wait_policy> policy;
  std::optional<bool> pin;
};

/// What a pool needs to know before it is laid out.
struct pool_start {
  os::cpu_mask mask;  ///< where the workers may run
  topology machine;   ///< within the mask
  pool_settings settings;
};

/// A profile that cannot be used is told of on stderr, once per file. Throws std::invalid_argument, which names the
/// kind of pool, for a number of workers that is 0 or more than `most`; and std::bad_alloc.
pool_start start_of(const char* pool, unsigned most, const asked_settings& asked);

/// How many workers the rule gives on this machine; at least 1.
unsigned workers_of(worker_rule rule, const topology& machine);

/// The spin budget of a worker under this policy.
nanoseconds spin_of(wait_policy policy, nanoseconds balanced);

}  // namespace remuda::detail
