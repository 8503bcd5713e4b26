// The system calls that a hardened worker is refused.
#pragma once

namespace remuda::detail {

/// Refuses to the calling thread, and what it starts, for good, with EPERM:
///   other processes' memory, descriptors and limits (ptrace, process_vm_*, process_madvise, pidfd_getfd, kcmp,
///   prlimit) signals to other processes, its own children among them (kill, tgkill, tkill, sigqueue,
///   pidfd_send_signal) the parts of the kernel that are attacked most (bpf, perf_event_open, userfaultfd, io_uring,
///   keyctl, fanotify) other namespaces and file systems (mount family, setns, unshare, clone with CLONE_NEW*, chroot,
///   open_by_handle_at) the machine (modules, kexec, reboot, swap, I/O ports, clock), and calls by another
///   architecture's numbers.
/// clone3 gets ENOSYS, whereupon the C library uses clone, whose flags can be looked at. All else stays as it is.
/// Needs no_new_privs. Throws std::system_error; ENOSYS: on an architecture that has no list here.
void refuse_system_calls();

}  // namespace remuda::detail
