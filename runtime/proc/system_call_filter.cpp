#include "runtime/proc/system_call_filter.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/os/error.hpp"

namespace remuda::detail {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t foreign_number = 0x40000000;  // set in the numbers of x32, which are called with the same arch
constexpr long only_here[] = {SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_create_module, SYS_kexec_file_load};
#elif defined(__aarch64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t foreign_number = 0;
constexpr long only_here[] = {SYS_kexec_file_load};
#else
constexpr std::uint32_t own_architecture = 0;
constexpr std::uint32_t foreign_number = 0;
constexpr long only_here[] = {-1};
#endif

// Numbers that came after the oldest headers we build with; from 424 on they are the same on all architectures.
constexpr long refused[] = {
    // other processes
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_send_signal, 438 /* pidfd_getfd */,
    440 /* process_madvise */, 448 /* process_mrelease */,
    // parts of the kernel
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_fanotify_init, SYS_lookup_dcookie, SYS_syslog,
    // namespaces and file systems
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig,
    SYS_fsmount, SYS_fspick, 442 /* mount_setattr */, SYS_setns, SYS_unshare, SYS_open_by_handle_at, SYS_quotactl,
    443 /* quotactl_fd */,
    // the machine
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct,
    SYS_settimeofday, SYS_clock_settime, SYS_vhangup, SYS_sethostname, SYS_setdomainname};

// Their first argument names a process (or, tkill, a thread; of those only the first has a number that is known here).
constexpr long to_self_only[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};

constexpr std::uint32_t new_namespaces =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

constexpr std::uint32_t refuse_with(std::uint32_t error) { return SECCOMP_RET_ERRNO | error; }

// A classic BPF program over seccomp_data. Jumps count instructions to skip, the first one when the test holds.
class program {
 public:
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  /// The low half: the arguments looked at are all 32 bits wide to the kernel, which ignores the other half.
  void load_argument(std::size_t index) {
    static_assert(std::endian::native == std::endian::little);
    load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
  }
  void skip_if_equal(std::uint32_t value, std::uint8_t skip) { add(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0); }
  void skip_unless_equal(std::uint32_t value, std::uint8_t skip) { add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip); }
  void skip_unless_any(std::uint32_t bits, std::uint8_t skip) { add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, skip); }
  void result(std::uint32_t what) { add(BPF_RET | BPF_K, what); }

  sock_fprog finished() { return {static_cast<unsigned short>(code_.size()), code_.data()}; }

 private:
  void add(unsigned code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    code_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, k});
  }

  std::vector<sock_filter> code_;
};

std::uint32_t number(long call) { return static_cast<std::uint32_t>(call); }

void refuse(program& p, long call, std::uint32_t error = EPERM) {
  p.skip_unless_equal(number(call), 1);
  p.result(refuse_with(error));
}

// Allowed when the argument is one of the values.
void refuse_unless(program& p, long call, std::size_t argument, const std::vector<std::uint32_t>& values) {
  p.skip_unless_equal(number(call), static_cast<std::uint8_t>(2 * values.size() + 2));
  p.load_argument(argument);
  for (const std::uint32_t value : values) {
    p.skip_unless_equal(value, 1);
    p.result(SECCOMP_RET_ALLOW);
  }
  p.result(refuse_with(EPERM));
}

program filter() {
  program p;
  p.load(offsetof(seccomp_data, arch));
  p.skip_if_equal(own_architecture, 1);
  p.result(refuse_with(EPERM));
  p.load(offsetof(seccomp_data, nr));
  if (foreign_number != 0) {
    p.skip_unless_any(foreign_number, 1);
    p.result(refuse_with(EPERM));
  }
  for (const long call : refused) refuse(p, call);
  for (const long call : only_here) refuse(p, call);
  refuse(p, SYS_clone3, ENOSYS);
  const auto self = static_cast<std::uint32_t>(getpid());
  for (const long call : to_self_only) refuse_unless(p, call, 0, {self});
  refuse_unless(p, SYS_prlimit64, 0, {0, self});
  // Keys typed into the terminal of the parent, as it were.
  p.skip_unless_equal(number(SYS_ioctl), 6);
  p.load_argument(1);
  for (const std::uint32_t request : {TIOCSTI, TIOCLINUX}) {
    p.skip_unless_equal(request, 1);
    p.result(refuse_with(EPERM));
  }
  p.result(SECCOMP_RET_ALLOW);
  p.skip_unless_equal(number(SYS_clone), 4);
  p.load_argument(0);
  p.skip_unless_any(new_namespaces, 1);
  p.result(refuse_with(EPERM));
  p.result(SECCOMP_RET_ALLOW);
  p.result(SECCOMP_RET_ALLOW);
  return p;
}

}  // namespace

void refuse_system_calls() {
  if (own_architecture == 0) os::throw_errno(ENOSYS, "cannot refuse system calls on this architecture");
  program code = filter();
  const sock_fprog loaded = code.finished();
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &loaded) != 0) {
    os::throw_errno(errno, "cannot refuse system calls to a worker");
  }
}

}  // namespace remuda::detail
