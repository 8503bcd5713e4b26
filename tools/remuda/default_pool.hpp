// How many workers a pool has by default: one answer for every verb that tells it.
#pragma once

#include <optional>
#include <string>

#include "remuda/profile.hpp"
#include "tools/remuda/machine.hpp"

namespace remuda::tool {

/// A profile as pools would take it.
struct looked_at {
  std::optional<profile> what;  ///< empty: no valid file
  std::string why_not;          ///< pools here take the built-in settings instead; empty: they use it
};

looked_at look_at_profile(const std::string& path);

struct default_pool {
  unsigned workers = 1;
  std::string why;  ///< "2 CPUs in the mask, no quota"
};

/// Of the profile that pools take on this machine; of a described one, of what is built in.
default_pool default_pool_on(const chosen_machine& machine);

}  // namespace remuda::tool
