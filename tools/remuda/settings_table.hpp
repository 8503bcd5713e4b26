// The settings of a profile, for people.
#pragma once

#include <string>

#include "remuda/profile.hpp"

namespace remuda::tool {

/// "AMD EPYC 7763 under kvm: 2 CPUs on 2 cores, 1 L3 cache, 1 NUMA node, 1 package".
std::string describe(const machine_fingerprint&);

/// A line for each setting, with its value and what is built in where that differs, and its reason below.
std::string settings_table(const profile&);

/// Text from outside in one line, without control characters.
std::string one_line(std::string text);

}  // namespace remuda::tool
