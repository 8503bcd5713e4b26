// A process forked from the benchmark, for what is measured without any pool.
#pragma once

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

namespace bench {

[[noreturn]] inline void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Which process this is, at the price of a load: the system call would be a good part of a hot round trip. A child
/// that inherited the answer of its parent would lie, so that only what never forks afterwards may ask.
inline pid_t this_process() {
  static const pid_t pid = getpid();
  return pid;
}

/// Lets all of the process's one thread, that of its pid, run on one CPU.
inline void pin_process(pid_t pid, unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(pid, sizeof set, &set) != 0) throw_errno("sched_setaffinity");
}

/// Runs serve() in a child until it returns or this object ends, which kills and reaps the child. The child does not
/// outlive the thread that made it.
class forked_child {
 public:
  template <class F>
  explicit forked_child(F serve) {
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw_errno("fork");
    if (pid_ > 0) return;
    [&]() noexcept {  // nothing of the child's may unwind into the parent's code
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(EXIT_FAILURE);
      serve();
      _exit(EXIT_SUCCESS);
    }();
  }
  ~forked_child() { end(); }
  forked_child(const forked_child&) = delete;
  forked_child& operator=(const forked_child&) = delete;

  pid_t pid() const { return pid_; }

  void end() {
    const pid_t pid = std::exchange(pid_, -1);
    if (pid < 0) return;
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace bench
