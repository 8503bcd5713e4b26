#include "runtime/proc/harden.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/os/error.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/proc/system_call_filter.hpp"

namespace remuda::detail {
namespace {

void give_up_capabilities() {
  // The bounding set is what a program executed later could get back. Without CAP_SETPCAP it cannot be made smaller;
  // then no_new_privs, set below, is what keeps that program from getting anything.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM) {
      os::throw_errno(errno, "cannot give up capabilities for later programs");
    }
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // EINVAL before Linux 4.3, which had none
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) os::throw_errno(errno, "cannot give up capabilities");
}

// A process in a Landlock domain has no ptrace rights over processes outside of it, and so cannot open /proc/PID/mem of
// the parent, which is of the same user. That comes with any domain; the one here restricts nothing else. Moving files
// between folders has to be allowed, as it is refused in a domain that does not speak of it.
void leave_the_memory_of_others() {
  constexpr int first_that_can_allow_moves = 2;
  constexpr std::uint64_t moves = LANDLOCK_ACCESS_FS_REFER;
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < first_that_can_allow_moves) return;  // or -1: not in this kernel, or switched off
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = moves;
  const os::unique_fd rules(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
  const os::unique_fd root(open("/", O_PATH | O_CLOEXEC));
  landlock_path_beneath_attr everywhere{};
  everywhere.allowed_access = moves;
  everywhere.parent_fd = root.get();
  if (!rules || !root || syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &everywhere, 0) != 0 ||
      syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    os::throw_errno(errno, "cannot keep a worker out of the memory of other processes");
  }
}

}  // namespace

void harden(std::uint32_t what) {
  if ((what & harden_no_capabilities) != 0) give_up_capabilities();
  if ((what & (harden_no_new_privileges | harden_no_capabilities | harden_system_calls | harden_no_foreign_memory)) !=
          0 &&
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    os::throw_errno(errno, "cannot set no_new_privs");
  }
  if ((what & harden_not_dumpable) != 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    os::throw_errno(errno, "cannot make a worker non-dumpable");
  }
  if ((what & harden_no_foreign_memory) != 0) leave_the_memory_of_others();
  if ((what & harden_system_calls) != 0) refuse_system_calls();
}

}  // namespace remuda::detail
