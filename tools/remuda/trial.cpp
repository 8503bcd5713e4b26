#include "tools/remuda/trial.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace remuda::tool {
namespace {

// The shadow memory of a sanitizer takes terabytes of address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool has_shadow_memory = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool has_shadow_memory = true;
#else
constexpr bool has_shadow_memory = false;
#endif
#else
constexpr bool has_shadow_memory = false;
#endif

// Not 0 and 1, with which a library or a sanitizer may end the process.
constexpr int well_status = 40;
constexpr int refused_status = 41;

/// While it lives, a child that has ended waits to be reaped, even if whoever started this program ignored SIGCHLD.
class children_are_kept {
 public:
  children_are_kept() {
    struct sigaction keep {};
    keep.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &keep, &before_);
  }
  ~children_are_kept() { sigaction(SIGCHLD, &before_, nullptr); }
  children_are_kept(const children_are_kept&) = delete;
  children_are_kept& operator=(const children_are_kept&) = delete;

 private:
  struct sigaction before_ {};
};

// The soft limit only, and never above what is set.
template <class Resource>
void lower_limit(Resource resource, rlim_t most) {
  struct rlimit limit {};
  if (getrlimit(resource, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_cur, most);
  setrlimit(resource, &limit);
}

// A crash is to be a plain signal: no handler of a sanitizer, no report, no core, no crash reporter.
void set_up_child(const trial_limits& limits) {
  for (const int each : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGXCPU, SIGALRM}) std::signal(each, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (const int each : {STDOUT_FILENO, STDERR_FILENO}) {
    if (nowhere < 0 || dup2(nowhere, each) < 0) close(each);
  }
  prctl(PR_SET_DUMPABLE, 0);  // a pipe in core_pattern is fed whatever the limit is
  lower_limit(RLIMIT_CORE, 0);
  if (!has_shadow_memory) lower_limit(RLIMIT_AS, limits.memory_bytes);
  lower_limit(RLIMIT_CPU, limits.cpu_seconds);
  alarm(limits.seconds);
}

int status_of(const std::function<bool()>& what) noexcept {
  try {
    return what() ? well_status : refused_status;
  } catch (...) {
    return refused_status;
  }
}

}  // namespace

trial_end try_out(const std::function<bool()>& what, const trial_limits& limits) {
  const children_are_kept while_waiting;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(refused_status);  // it ended before that
    set_up_child(limits);
    _exit(status_of(what));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    const bool at_limit = WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM;
    return at_limit ? trial_end::too_slow : trial_end::crashed;
  }
  if (WEXITSTATUS(status) == well_status) return trial_end::well;
  return WEXITSTATUS(status) == refused_status ? trial_end::refused : trial_end::crashed;
}

}  // namespace remuda::tool
