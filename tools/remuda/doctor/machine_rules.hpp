// The rules that look at the machine and at what may be used of it.
#pragma once

#include <optional>

#include "tools/remuda/doctor/rules.hpp"

namespace remuda::tool {

std::optional<finding> one_cpu(const patient& who);
std::optional<finding> node_without_memory(const patient& who);
std::optional<finding> smt_sharing(const patient& who);
std::optional<finding> partial_cores(const patient& who);
std::optional<finding> core_kinds(const patient& who);
std::optional<finding> partial_caches(const patient& who);
std::optional<finding> cpuset(const patient& who);
std::optional<finding> mask(const patient& who);
std::optional<finding> offline_cpus(const patient& who);

}  // namespace remuda::tool
