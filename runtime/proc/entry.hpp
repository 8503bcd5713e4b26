// Who this process is: the program itself, or a zygote or worker of one of its pools.
#pragma once

#include <sys/types.h>

#include <string>

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// This process was started as a zygote and has not been caught yet (static constructors run), or is a zygote or a
/// worker: a process pool made here must do nothing. Cheap; any thread.
bool in_zygote_start() noexcept;

/// The environment variable that makes a process a zygote: "SOCKET PARENT SELF", all decimal. SELF, its own process id,
/// keeps a process that inherits the variable by accident from taking itself for one.
inline constexpr const char* zygote_variable = "REMUDA_ZYGOTE";

/// Notes that this process is a zygote or worker from now on (start_method::fork has no entry that would).
void become_zygote() noexcept;

/// What runs in the workers of every zygote of this program. Set before main(), in static initialisation: tests put a
/// double here.
void set_worker_function(worker_function worker) noexcept;
worker_function the_worker_function() noexcept;

}  // namespace remuda::detail
