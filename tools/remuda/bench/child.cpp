#include "tools/remuda/bench/child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <system_error>

namespace remuda::tool::bench {
namespace {

using clock = std::chrono::steady_clock;

/// Blocks the signals that are waited for while it lives, and adopts what the program leaves behind.
class watch {
 public:
  watch() {
    sigemptyset(&waited_for_);
    sigaddset(&waited_for_, SIGCHLD);
    for (const int s : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action {};
      // nohup and the like: what was to be ignored is not waited for
      if (sigaction(s, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&waited_for_, s);
    }
    struct sigaction keep {};
    keep.sa_handler = SIG_DFL;  // ignored by whoever started this, children would vanish without a status
    sigaction(SIGCHLD, &keep, &child_action_);
    sigprocmask(SIG_BLOCK, &waited_for_, &mask_before_);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~watch() {
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    sigaction(SIGCHLD, &child_action_, nullptr);
    sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

  const sigset_t& mask_before() const { return mask_before_; }

  /// The signal that came within the time; 0 for none.
  int wait(std::chrono::duration<double> time) const {
    const auto ns = std::max<long long>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(), 0);
    const timespec limit{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    const int s = sigtimedwait(&waited_for_, nullptr, &limit);
    return s > 0 ? s : 0;
  }

 private:
  sigset_t waited_for_{};
  sigset_t mask_before_{};
  struct sigaction child_action_ {};
};

/// The processes whose parent this one is.
std::vector<pid_t> own_children() {
  std::vector<pid_t> all;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat, '\0');
    // "PID (NAME) STATE PPID ...", and a name may hold anything
    const auto name_end = stat.rfind(") ");
    if (name_end != std::string::npos && std::atoi(stat.c_str() + std::min(name_end + 4, stat.size())) == getpid()) {
      all.push_back(pid);
    }
  }
  return all;
}

/// Reaps all that has ended, also what the program has left behind, which would wait for that as long as it runs. Tells
/// whether the program itself was among it.
bool reaped(pid_t program, int& status) {
  for (;;) {
    int s = 0;
    const pid_t pid = waitpid(-1, &s, WNOHANG);
    if (pid <= 0) return false;
    if (pid != program) continue;
    status = s;
    return true;
  }
}

/// Kills and reaps all children, and those that fall to this process when they die.
void end_all_children() {
  for (;;) {
    for (const pid_t pid : own_children()) kill(pid, SIGKILL);
    if (waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
  }
}

/// In the child. Does not return.
[[noreturn]] void execute(const std::vector<char*>& arguments, const char* log, const sigset_t& mask, int report_to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);  // Ctrl-C comes to the parent only, which ends this one and all that it started
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (out >= 0 && dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
      dup2(out, STDERR_FILENO) >= 0) {
    execv(arguments.front(), arguments.data());
  }
  const int error = errno;
  if (write(report_to, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

}  // namespace

ended run_to_end(const std::vector<std::string>& command, const std::filesystem::path& log,
                 std::chrono::duration<double> patience, const std::function<void(double)>& meanwhile) {
  const watch signals;
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int errors[2] = {-1, -1};
  if (pipe2(errors, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");

  const auto start = clock::now();
  const auto taken = [start] { return std::chrono::duration<double>(clock::now() - start); };
  const pid_t child = fork();
  if (child == 0) execute(arguments, log.c_str(), signals.mask_before(), errors[1]);
  const int fork_error = errno;
  close(errors[1]);
  int error = child < 0 ? fork_error : 0;
  if (child > 0 && read(errors[0], &error, sizeof error) <= 0) error = 0;  // closed by the exec
  close(errors[0]);

  ended e;
  if (error != 0) e = {ended::how::not_started, error, 0};
  auto last_told = start;
  while (error == 0) {
    int status = 0;
    if (reaped(child, status)) {
      e = WIFEXITED(status) ? ended{ended::how::exited, WEXITSTATUS(status), 0}
                            : ended{ended::how::killed, WTERMSIG(status), 0};
      break;
    }
    if (taken() >= patience) {
      e.way = ended::how::timed_out;
      break;
    }
    const auto second = std::chrono::duration<double>(1);
    const int s = signals.wait(std::min(meanwhile ? second : patience, patience - taken()));
    if (s != 0 && s != SIGCHLD) {
      e = {ended::how::interrupted, s, 0};
      break;
    }
    if (meanwhile && clock::now() - last_told >= second) {
      last_told = clock::now();
      meanwhile(taken().count());
    }
  }
  e.seconds = taken().count();
  end_all_children();
  return e;
}

std::string to_text(const ended& e) {
  switch (e.way) {
    case ended::how::exited:
      return "exit status " + std::to_string(e.code);
    case ended::how::killed:
      return "killed by signal " + std::to_string(e.code) + " (" + strsignal(e.code) + ")";
    case ended::how::timed_out:
      return "took too long and was ended";
    case ended::how::interrupted:
      return "interrupted";
    case ended::how::not_started:
      return "cannot be started: " + std::generic_category().message(e.code);
  }
  return {};
}

}  // namespace remuda::tool::bench
