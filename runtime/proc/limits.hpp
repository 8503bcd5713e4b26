// Bounds on what a worker process may use.
#pragma once

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// Sets the calling process' limits on address space, CPU time and descriptors. Call it when everything that the
/// worker needs for itself is mapped and open: what is there already counts, but is not taken away. A limit above the
/// hard limit of the parent becomes that one. Throws std::system_error.
void apply_limits(const worker_settings& settings);

}  // namespace remuda::detail
