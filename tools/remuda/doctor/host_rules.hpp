// The rules that look at how the host is set up; silent about a described machine, but for the quota.
#pragma once

#include <optional>

#include "tools/remuda/doctor/rules.hpp"

namespace remuda::tool {

std::optional<finding> throttled(const patient& who);
std::optional<finding> quota_below_one(const patient& who);
std::optional<finding> quota(const patient& who);
std::optional<finding> load(const patient& who);
std::optional<finding> stolen_time(const patient& who);
std::optional<finding> clock_source(const patient& who);
std::optional<finding> huge_pages(const patient& who);
std::optional<finding> governor(const patient& who);
std::optional<finding> deep_idle(const patient& who);
std::optional<finding> numa_balancing(const patient& who);
std::optional<finding> descriptors(const patient& who);
std::optional<finding> processes(const patient& who);
std::optional<finding> rtprio(const patient& who);
std::optional<finding> memlock(const patient& who);
std::optional<finding> hypervisor(const patient& who);
std::optional<finding> isolation(const patient& who);
std::optional<finding> boost(const patient& who);

}  // namespace remuda::tool
