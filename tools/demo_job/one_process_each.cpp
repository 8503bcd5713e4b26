#include "tools/demo_job/one_process_each.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <string_view>
#include <system_error>
#include <utility>

#include "tools/demo_job/ways.hpp"

namespace demo {
namespace {

/// Not a word that the command line knows.
constexpr const char* worker_mode = "--one-file-for-remuda-demo";

static_assert(sizeof(outcome) <= PIPE_BUF, "so that an outcome is in the pipe whole or not at all");

[[noreturn]] void throw_errno(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

class end_of_pipe {
 public:
  explicit end_of_pipe(int fd) noexcept : fd_(fd) {}
  ~end_of_pipe() {
    if (fd_ >= 0) ::close(fd_);
  }
  end_of_pipe(const end_of_pipe&) = delete;
  end_of_pipe& operator=(const end_of_pipe&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno(errno, "cannot make a pipe for a file's process");
  return ends;
}

[[noreturn]] void serve(int to, const std::string& path) {
  // Where this comes too late, the process still ends with its file.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const outcome o = run_task(path);
  ::_exit(::write(to, &o, sizeof o) == static_cast<ssize_t>(sizeof o) ? 0 : 1);
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// What a spawned process gets: its outcome's pipe as standard output.
class spawn_actions {
 public:
  explicit spawn_actions(int to) {
    int error = ::posix_spawn_file_actions_init(&actions_);
    if (error == 0) {
      error = ::posix_spawn_file_actions_adddup2(&actions_, to, STDOUT_FILENO);
      if (error != 0) ::posix_spawn_file_actions_destroy(&actions_);
    }
    if (error != 0) throw_errno(error, "cannot prepare a file's process");
  }
  ~spawn_actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  spawn_actions(const spawn_actions&) = delete;
  spawn_actions& operator=(const spawn_actions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

const int process_died = ECHILD;

one_process_each::one_process_each(std::size_t tasks, unsigned workers)
    : children_(tasks), at_most_(std::size_t{workers} * children_per_worker) {}

one_process_each::~one_process_each() {
  for (const child& c : children_) {
    if (c.pid < 0) continue;
    ::kill(c.pid, SIGKILL);
    ::close(c.result);
    reap(c.pid);
  }
}

void one_process_each::add(std::size_t i, child c) {
  children_[i] = c;
  ++started_;
}

outcome one_process_each::finish(std::size_t i) {
  const child c = std::exchange(children_[i], {});
  outcome o;
  ssize_t got = 0;
  do {
    got = ::read(c.result, &o, sizeof o);
  } while (got < 0 && errno == EINTR);
  ::close(c.result);
  reap(c.pid);
  if (got == static_cast<ssize_t>(sizeof o)) return o;
  o = {};
  o.result.error = process_died;
  return o;
}

void one_fork_each::start(std::size_t i, const std::string& path) {
  const auto ends = make_pipe();
  end_of_pipe from(ends[0]);
  const end_of_pipe to(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno(errno, "cannot fork a process for a file");
  if (pid == 0) serve(to.get(), path);
  add(i, {pid, from.release()});
}

void one_spawn_each::start(std::size_t i, const std::string& path) {
  const auto ends = make_pipe();
  end_of_pipe from(ends[0]);
  const end_of_pipe to(ends[1]);
  const spawn_actions actions(to.get());
  std::string name = "remuda-demo";
  std::string mode = worker_mode;
  std::string file = path;
  const std::array<char*, 4> arguments = {name.data(), mode.data(), file.data(), nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", actions.get(), nullptr, arguments.data(), environ);
  if (error != 0) throw_errno(error, "cannot spawn a process for a file");
  add(i, {pid, from.release()});
}

void serve_if_spawned(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string_view(worker_mode)) serve(STDOUT_FILENO, argv[2]);
}

}  // namespace demo
