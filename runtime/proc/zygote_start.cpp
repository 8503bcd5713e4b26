#include "runtime/proc/zygote_start.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "remuda/error.hpp"
#include "runtime/os/descriptors.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/entry.hpp"
#include "runtime/proc/zygote_main.hpp"

namespace remuda::detail {
namespace {

// No handler of the program may run in the child, where it would find the program's memory and not its process. The
// child keeps this mask; the zygote wants it.
class all_signals_blocked {
 public:
  all_signals_blocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~all_signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;

 private:
  sigset_t before_{};
};

const char* file_of_program() {
  // Also when the file was replaced or removed since: it is the running one.
  if (access("/proc/self/exe", X_OK) == 0) return "/proc/self/exe";
  const int error = errno;
  // Without /proc, by the name that it was started by: good unless that was relative and the folder has changed, or
  // another file is there now.
  const auto* const name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (name != nullptr && access(name, X_OK) == 0) return name;
  throw remuda::error(std::string("remuda: cannot start this program anew as the zygote of a process pool: "
                                  "/proc/self/exe: ") +
                      strerror(error) + (name != nullptr ? std::string(", and nothing to run at ") + name : "") +
                      ". Mount /proc, or use start_method::fork");
}

std::vector<std::string> arguments_of_program() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> all;
  for (std::string one; std::getline(in, one, '\0');) all.push_back(std::move(one));
  if (all.empty()) {
    const auto* const name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
    all.emplace_back(name != nullptr ? name : "remuda-zygote");
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

constexpr std::size_t most_digits = 10;

// glibc's clone() by its other name. ThreadSanitizer puts code of its own before `clone` that takes the child for a
// forked one, and stops seeing what the calling thread does.
extern "C" int uninstrumented_clone(int (*function)(void*), void* stack, int flags, void* argument,
                                    ...) __asm__("__clone");

// What the child needs, all of it made before: the child shares our memory and must not allocate.
struct exec_plan {
  const char* file = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  int socket = -1;
  pid_t parent = -1;
  char* own_id = nullptr;  // where in the environment its process id goes, with room for most_digits
  int error = 0;           // of exec, written by the child
};

// Runs in the child, on a stack of its own, in the memory of the parent, whose thread waits meanwhile until the exec.
// Raw system calls: the wrappers of sanitizers would take it for the parent's thread.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread]] int exec_in_child(void* argument) {
  auto* const plan = static_cast<exec_plan*>(argument);
  // Ends the zygote with this thread of the parent, which waits for the hello; then the zygote takes it back.
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const auto parent = static_cast<pid_t>(syscall(SYS_getppid));
  if (parent != plan->parent && parent != 0) return EXIT_FAILURE;
  // Inherited descriptors end with the exec. Those that a static constructor opens in the new program stay open: the
  // program relies on them.
  os::keep_one_over_exec(plan->socket);
  auto own = static_cast<unsigned>(syscall(SYS_getpid));
  for (std::size_t i = most_digits; i-- > 0; own /= 10) plan->own_id[i] = static_cast<char>('0' + own % 10);
  syscall(SYS_execve, plan->file, plan->arguments, plan->environment);
  plan->error = errno;
  return EXIT_FAILURE;
}

}  // namespace

started_zygote start_by_exec(int socket) {
  const char* const file = file_of_program();
  std::vector<std::string> arguments = arguments_of_program();
  std::string variable = std::string(zygote_variable) + '=' + std::to_string(socket) + ' ' + std::to_string(getpid()) +
                         ' ' + std::string(most_digits, '0');
  std::vector<char*> environment;
  const std::size_t name_length = std::strlen(zygote_variable);
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const bool ours = std::strncmp(*one, zygote_variable, name_length) == 0 && (*one)[name_length] == '=';
    if (!ours) environment.push_back(*one);
  }
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  const std::vector<char*> argument_pointers = pointers_to(arguments);

  exec_plan plan;
  plan.file = file;
  plan.arguments = argument_pointers.data();
  plan.environment = environment.data();
  plan.socket = socket;
  plan.parent = getpid();
  plan.own_id = variable.data() + variable.size() - most_digits;

  constexpr std::size_t stack_bytes = std::size_t{64} * 1024;
  std::vector<std::max_align_t> stack(stack_bytes / sizeof(std::max_align_t));
  int pidfd = -1;
  pid_t pid = -1;
  int error = 0;
  {
    const all_signals_blocked blocked;
    // Memory shared until the exec, and this thread asleep until then: as fast for a program of many GiB as for a small
    // one. The stack grows down on x86-64 and aarch64.
    pid = uninstrumented_clone(exec_in_child, stack.data() + stack.size(),
                               CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
    error = errno;
  }
  if (pid < 0) os::throw_errno(error, "cannot start the zygote of a process pool");
  started_zygote started{pid, os::unique_fd(pidfd)};
  if (plan.error != 0) {
    os::wait_until_ended(started.pidfd.get(), std::chrono::hours(1));
    os::reap(started.pidfd.get());
    os::throw_errno(plan.error, std::string("cannot execute ") + file + " as the zygote of a process pool");
  }
  return started;
}

started_zygote start_by_fork(int socket) {
  const pid_t parent = getpid();
  started_zygote started;
  int error = 0;
  {
    const all_signals_blocked blocked;
    started.pid = fork();
    error = errno;
    if (started.pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // as above
      const pid_t now = getppid();
      if (now != parent && now != 0) _exit(EXIT_FAILURE);
      // The program's connections would stay open as long as the pool; what it reads from files, a task opens itself.
      os::close_all_but(socket);
      become_zygote();
      zygote_main(socket, now, the_worker_function());
    }
  }
  if (started.pid < 0) os::throw_errno(error, "cannot fork the zygote of a process pool");
  try {
    started.pidfd = os::pidfd_open(started.pid);
  } catch (...) {
    kill(started.pid, SIGKILL);
    waitpid(started.pid, nullptr, 0);
    throw;
  }
  return started;
}

}  // namespace remuda::detail
