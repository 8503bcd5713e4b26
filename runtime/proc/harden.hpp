// What a worker gives up, so that a task which was taken over by its input can do less harm. It is no sandbox: files
// and the network stay open to it.
#pragma once

#include <cstdint>

namespace remuda::detail {

/// Bits of worker_settings::harden.
enum : std::uint32_t {
  harden_no_new_privileges = 1,   ///< set-uid programs give no rights; implied by harden_system_calls
  harden_no_capabilities = 2,     ///< gives up all capabilities, for good
  harden_not_dumpable = 4,        ///< no core dump, no ptrace by and no /proc entries for processes of the same user
  harden_system_calls = 8,        ///< refuses (EPERM) what normal tasks have no use for; x86-64 and aarch64 only
  harden_no_foreign_memory = 16,  ///< no way into other processes by /proc/PID/mem either; nothing before Linux 5.19
  harden_all = 31,
};

/// Does it to the calling process, for good. Call it in its only thread: what was started before keeps its rights.
/// What the system calls refuse, they refuse to programs that a task starts too; those cannot signal each other then.
/// Throws std::system_error when the kernel refuses, with what was asked for partly in force: end the process then.
void harden(std::uint32_t what);

}  // namespace remuda::detail
