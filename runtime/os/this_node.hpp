// On which NUMA node the caller runs.
#pragma once

namespace remuda::os {

/// The NUMA node of the CPU on which the calling thread runs now; 0 where the system does not tell. Unless the thread
/// is pinned, it may be another one by the time this returns. Any thread. Wait-free; on x86-64 without a system call
/// (vDSO).
unsigned this_node() noexcept;

}  // namespace remuda::os
