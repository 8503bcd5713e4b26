// How the values of settings are written in profiles and for people.
#pragma once

#include <string_view>

#include "remuda/profile.hpp"

namespace remuda::topo {

std::string_view name_of(worker_rule);
std::string_view name_of(wait_policy);
std::string_view name_of(nearness);

// False, and `value` as it was, for a name that is none.
bool from_name(std::string_view name, worker_rule& value);
bool from_name(std::string_view name, wait_policy& value);
bool from_name(std::string_view name, nearness& value);

/// Names of the settings in the file.
namespace setting {
inline constexpr const char* workers = "workers";
inline constexpr const char* pin = "pin";
inline constexpr const char* wait_policy = "wait_policy";
inline constexpr const char* spin = "spin_ns";
inline constexpr const char* steal_near = "steal_near";
inline constexpr const char* near_looks = "near_looks";
inline constexpr const char* ring_slots = "ring_slots";
inline constexpr const char* topology_from_cache = "topology_from_cache";
}  // namespace setting

}  // namespace remuda::topo
