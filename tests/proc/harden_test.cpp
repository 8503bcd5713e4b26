#include "runtime/proc/harden.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/process.hpp"

namespace remuda::test {
namespace {

using namespace detail;

// With a sanitizer's help the child's own runtime would use what is refused only when it reports an error.
template <class Body>
child_result in_hardened_child(std::uint32_t what, Body body) {
  return in_child([&]() -> std::string {
    harden(what);
    return body();
  });
}

std::string status_line(const std::string& key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return "none";
}

TEST(Harden, GivesUpCapabilitiesForGood) {
  const child_result r = in_hardened_child(harden_no_capabilities, []() -> std::string {
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      if (status_line(set) != "0000000000000000") return std::string(set) + ' ' + status_line(set);
    }
    if (status_line("NoNewPrivs") != "1") return "new programs may gain privileges";
    return mount("none", "/tmp", "tmpfs", 0, nullptr) == 0 ? "it may mount" : "";
  });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Harden, IsNotDumpable) {
  const child_result r = in_hardened_child(
      harden_not_dumpable, []() -> std::string { return prctl(PR_GET_DUMPABLE) == 0 ? "" : "dumpable"; });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Harden, NothingAskedForChangesNothing) {
  const child_result r = in_child([]() -> std::string {
    const auto state = [] {
      return status_line("CapEff") + status_line("NoNewPrivs") + status_line("Seccomp") +
             std::to_string(prctl(PR_GET_DUMPABLE));
    };
    const std::string before = state();
    harden(0);
    return before == state() ? "" : "changed";
  });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Harden, RefusesWhatOnlyAnAttackerNeeds) {
  const pid_t victim = getpid();
  const child_result r = in_hardened_child(harden_system_calls, [victim]() -> std::string {
    const long v = victim;
    const std::vector<std::pair<const char*, std::vector<long>>> calls = {
      {"ptrace", {SYS_ptrace, 16, v, 0, 0}},
      {"process_vm_readv", {SYS_process_vm_readv, v, 0, 0, 0, 0, 0}},
      {"process_vm_writev", {SYS_process_vm_writev, v, 0, 0, 0, 0, 0}},
      {"pidfd_getfd", {438, 0, 0, 0}},
      {"pidfd_send_signal", {SYS_pidfd_send_signal, 0, 0, 0, 0}},
      {"kcmp", {SYS_kcmp, v, v, 0, 0, 0}},
      {"kill", {SYS_kill, v, 0}},
      {"kill all", {SYS_kill, -1, 0}},
      {"kill group", {SYS_kill, 0, 0}},
      {"tgkill", {SYS_tgkill, v, v, 0}},
      {"tkill", {SYS_tkill, v, 0}},
      {"rt_sigqueueinfo", {SYS_rt_sigqueueinfo, v, 0, 0}},
      {"rt_tgsigqueueinfo", {SYS_rt_tgsigqueueinfo, v, v, 0, 0}},
      {"prlimit", {SYS_prlimit64, v, RLIMIT_NOFILE, 0, 0}},
      {"bpf", {SYS_bpf, 0, 0, 0}},
      {"perf_event_open", {SYS_perf_event_open, 0, 0, 0, 0, 0}},
      {"userfaultfd", {SYS_userfaultfd, 0}},
      {"io_uring_setup", {SYS_io_uring_setup, 1, 0}},
      {"keyctl", {SYS_keyctl, 0, 0, 0, 0, 0}},
      {"add_key", {SYS_add_key, 0, 0, 0, 0, 0}},
      {"mount", {SYS_mount, 0, 0, 0, 0, 0}},
      {"umount", {SYS_umount2, 0, 0}},
      {"fsopen", {SYS_fsopen, 0, 0}},
      {"unshare", {SYS_unshare, 0}},
      {"setns", {SYS_setns, -1, 0}},
      {"clone with a namespace", {SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0}},
      {"open_by_handle_at", {SYS_open_by_handle_at, -1, 0, 0}},
      {"init_module", {SYS_init_module, 0, 0, 0}},
      {"kexec_load", {SYS_kexec_load, 0, 0, 0, 0}},
      {"reboot", {SYS_reboot, 0, 0, 0, 0}},
      {"swapon", {SYS_swapon, 0, 0}},
      {"ioctl TIOCSTI", {SYS_ioctl, 0, 0x5412, 0}},
#if defined(__x86_64__)
      {"x32", {0x40000000 | SYS_getppid}},
#endif
    };
    for (const auto& [name, call] : calls) {
      long a[7] = {};
      std::copy(call.begin(), call.end(), a);
      errno = 0;
      // EPERM is also what the kernel itself says to some of these without rights; root has them
      if (syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]) != -1 || errno != EPERM) {
        return std::string(name) + ": " + std::strerror(errno);
      }
    }
    if (syscall(SYS_clone3, nullptr, 0) != -1 || errno != ENOSYS) return "clone3";
    return "";
  });
  EXPECT_TRUE(well(r)) << r;
}

#if defined(__x86_64__)
long getpid_by_the_32_bit_way() {
  long result = 20;
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result;
}

TEST(Harden, RefusesCallsByTheNumbersOfAnotherArchitecture) {
  const child_result plain = in_child([] {
    signal(SIGSEGV, SIG_DFL);  // what a kernel without them answers with; not a sanitizer's business
    return getpid_by_the_32_bit_way() == getpid() ? "" : "no answer";
  });
  if (!well(plain)) GTEST_SKIP() << "this kernel has no 32-bit calls";
  const child_result r = in_hardened_child(
      harden_system_calls, [] { return getpid_by_the_32_bit_way() == -EPERM ? "" : "it was let through"; });
  EXPECT_TRUE(well(r)) << r;
}
#endif

TEST(Harden, TheMemoryOfOthersIsOutOfReach) {
  if (syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U) < 2) GTEST_SKIP() << "this kernel has no Landlock";
  const std::string memory = "/proc/" + std::to_string(getpid()) + "/mem";
  const auto reach = [&memory]() -> std::string {
    const int fd = open(memory.c_str(), O_RDWR | O_CLOEXEC);
    return fd >= 0 ? "opened " + memory : "";
  };
  EXPECT_FALSE(well(in_child(reach))) << "then this test shows nothing";
  const child_result r = in_hardened_child(harden_no_foreign_memory, reach);
  EXPECT_TRUE(well(r)) << r;
}

std::string run_normal_task() {
  // memory
  std::vector<std::vector<char>> blocks;
  for (std::size_t i = 1; i < 200; ++i) blocks.emplace_back(i * 10'000, 'x');
  // signals to itself
  static volatile std::sig_atomic_t caught = 0;
  signal(SIGUSR1, [](int) { caught = caught + 1; });
  // One at a time: a sanitizer may put the handler off, and makes one of two that wait.
  const auto arrives = [](auto&& send) {
    const int before = caught;
    if (send() != 0) return false;
    for (int i = 0; i < 10'000 && caught == before; ++i) usleep(1000);
    return caught == before + 1;
  };
  sigval value{};
  if (!arrives([] { return kill(getpid(), SIGUSR1); }) || !arrives([] { return raise(SIGUSR1); }) ||
      !arrives([] { return pthread_kill(pthread_self(), SIGUSR1); }) ||
      !arrives([&] { return sigqueue(getpid(), SIGUSR1, value); })) {
    return "signals to itself do not arrive";
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return "getrlimit";
  // files, and moving them between folders
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("remuda-harden-" + std::to_string(getpid()));
  fs::create_directories(folder / "a");
  fs::create_directories(folder / "b");
  std::ofstream(folder / "a" / "file") << "text";
  std::error_code moved;
  fs::rename(folder / "a" / "file", folder / "b" / "file", moved);
  std::string text;
  std::ifstream(folder / "b" / "file") >> text;
  fs::remove_all(folder);
  if (moved || text != "text") return "files: " + moved.message();
  // /proc about itself
  if (status_line("Name") == "none") return "/proc/self/status";
  if (descriptors().size() < 3) return "/proc/self/fd";
  // sockets
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, any, length) != 0 || listen(listener, 1) != 0 || getsockname(listener, any, &length) != 0) {
    return "listen";
  }
  const int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(out, any, length) != 0) return "connect";
  close(out);
  close(listener);
  // other programs, and what they print
  char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>("exit 7"), nullptr};
  pid_t child = 0;
  int status = 0;
  if (posix_spawnp(&child, "sh", nullptr, nullptr, arguments, environ) != 0 || waitpid(child, &status, 0) != child ||
      WEXITSTATUS(status) != 7) {
    return "posix_spawn";
  }
  FILE* const pipe = popen("echo $((6 * 7))", "r");
  int answer = 0;
  if (pipe == nullptr || std::fscanf(pipe, "%d", &answer) != 1 || pclose(pipe) != 0 || answer != 42) return "popen";
  return "";
}

TEST(Harden, NormalTasksStillWork) {
  const child_result r = in_hardened_child(harden_all, run_normal_task);
  EXPECT_TRUE(well(r)) << r;
}

TEST(Harden, ThreadsStillStartAndAreFilteredToo) {
  // in_child() forks, and this process has one thread of its own: what it starts there is no thread of a dead process
  const pid_t parent = getpid();
  const child_result r = in_hardened_child(harden_all, [parent]() -> std::string {
    std::string complaint = "did not run";
    std::thread([&] { complaint = kill(parent, 0) == -1 && errno == EPERM ? "" : "it may signal others"; }).join();
    return complaint;
  });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Harden, WorksWithoutAnyRights) {
  if (getuid() != 0) GTEST_SKIP() << "it has none anyway";
  const child_result r = in_child([]() -> std::string {
    constexpr uid_t nobody = 65534;
    if (setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0) return "cannot change user";
    harden(harden_all);
    return run_normal_task();
  });
  EXPECT_TRUE(well(r)) << r;
}

}  // namespace
}  // namespace remuda::test
