// Measurements for verbs that judge by them: out of a file, or taken now.
#pragma once

#include <string>

#include "remuda/topology.hpp"
#include "runtime/topo/measurements.hpp"
#include "tools/remuda/measure/session.hpp"

namespace remuda::tool {

/// What `remuda measure` has written. Throws `ending` with the reason and what to do.
topo::measurements read_measurements(const std::string& path);

/// measure() with progress on the terminal. The calling thread must be the only one of the process. Throws `ending`
/// when a signal ended it.
topo::measurements measure_with_progress(measure_settings settings);

/// Measures on these CPUs what topo::recommend() asks for, in about so many seconds, with progress on the terminal. The
/// calling thread must be the only one of the process. Throws `ending`, also when a signal ended it.
topo::measurements measure_for_tuning(const topology& machine, double seconds);

}  // namespace remuda::tool
