// Measurements for verbs that judge by them: out of a file, or taken now.
#pragma once

#include <string>

#include "runtime/topo/measurements.hpp"
#include "tools/remuda/machine.hpp"

namespace remuda::tool {

/// What `remuda measure --json` has written. Throws `ending` with the reason and what to do.
topo::measurements read_measurements(const std::string& path);

/// Takes what recommend() judges by. Throws `ending`.
topo::measurements measure_for_tune(const chosen_machine& machine);

}  // namespace remuda::tool
