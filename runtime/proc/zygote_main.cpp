#include "runtime/proc/zygote_main.hpp"

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/os/affinity.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/os/socket.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/proc/fault_point.hpp"
#include "runtime/proc/worker_main.hpp"
#include "runtime/proc/zygote_protocol.hpp"

namespace remuda::detail {
namespace {

class zygote_loop {
 public:
  zygote_loop(int socket, pid_t parent, worker_function worker)
      : socket_(socket), parent_pid_(parent), worker_(worker) {}

  void prepare();
  void run();
  [[noreturn]] void end(int exit_code) noexcept;
  void say_not_ready(int error) noexcept;

 private:
  struct child {
    pid_t pid;
    std::uint32_t lane;
  };
  struct reserve {
    pid_t pid = -1;
    os::unique_fd pidfd;
    os::unique_fd socket;
  };
  struct unsent {
    zygote_report report;
    os::unique_fd fd;
  };

  bool take_requests();  // false: the parent's end is closed
  void spawn(const spawn_request& request, const std::vector<os::unique_fd>& fds);
  bool hand_over(const spawn_request& request, const std::vector<os::unique_fd>& fds) noexcept;
  void make_reserve() noexcept;
  [[noreturn]] void wait_in_reserve(os::unique_fd socket, pid_t zygote);
  void leave_zygote(pid_t zygote) noexcept;
  [[noreturn]] void become_worker(const worker_settings& settings, const worker_fds& fds) noexcept;
  void reap();
  void say(const zygote_report& report, os::unique_fd fd = {});
  void send_unsent();

  os::unique_fd socket_;
  os::unique_fd parent_;  // none when the parent is in an outer process namespace, where we cannot name it
  os::unique_fd deaths_;
  pid_t parent_pid_;
  worker_function worker_;
  std::vector<child> children_;
  // One process is forked ahead, for the next worker that is asked for: a fork, and the pages that a new process has to
  // fetch, take most of the time of a replacement. It sleeps, has no memory of the pool, and waits for a request.
  reserve reserve_;
  bool reserve_wanted_ = false;
  std::deque<unsent> unsent_;
  int pause_ms_ = -1;  // till the next attempt to send what no POLLOUT will announce
};

/// So long after the last event the reserve is made: not while workers start that somebody waits for, and not for each
/// of many deaths in a row.
constexpr int quiet_ms = 50;

worker_fds fds_of(const spawn_request& request, const std::vector<os::unique_fd>& fds) {
  worker_fds to_worker;
  int* const members[descriptors_of_worker] = {&to_worker.segment, &to_worker.heap, &to_worker.bell, &to_worker.out,
                                               &to_worker.err};
  auto next = fds.begin();
  for (int i = 0; i < descriptors_of_worker; ++i) {
    if ((request.descriptors >> i & 1U) != 0 && next != fds.end()) *members[i] = (next++)->get();
  }
  return to_worker;
}

void set_up_standard_descriptors() {
  // A worker that reads what the user types at the parent would take it away from it.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) os::throw_errno(errno, "cannot open /dev/null");
  if (dup2(null, STDIN_FILENO) < 0) os::throw_errno(errno, "cannot set up stdin");
  // Closed ones would be the numbers of the next descriptors, and tasks would print into those.
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0 && dup2(null, fd) < 0) os::throw_errno(errno, "cannot set up stdout and stderr");
  }
  if (null > STDERR_FILENO) close(null);
}

// Ignored signals outlive exec, and handlers outlive fork and are the parent's.
void default_signal_dispositions() noexcept {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) sigaction(s, &by_default, nullptr);
}

void zygote_loop::prepare() {
  // Everything that can be blocked is: SIGTERM to a whole control group, as systemd sends it, must not end the workers
  // while the parent still wants its tasks to finish. The parent's end ends the zygote, and nothing else.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  default_signal_dispositions();
  // Ctrl-C at the terminal goes to the foreground process group. The parent decides what that means for its tasks; in
  // a group of their own, zygote and workers do not hear of it. It fails only for a session leader: also on its own.
  setpgid(0, 0);
  os::set_thread_name("remuda-zygote");
  set_up_standard_descriptors();
  // What static constructors, or the parent before its fork, printed into the buffer would come out of every worker.
  __fpurge(stdout);
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  deaths_.reset(signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!deaths_) os::throw_errno(errno, "cannot watch for the ends of workers");
  // The parent's end of the socket may live on in a child that it forked: only its pidfd tells of its death for sure.
  if (parent_pid_ > 0) parent_ = os::pidfd_open(parent_pid_);
  if (getppid() != parent_pid_) end(EXIT_FAILURE);  // it died before we held it, and the pidfd is somebody else's
  // Up to here the kernel killed us with the parent. From here on we see to it ourselves: the kernel's signal means the
  // parent's *thread* that started us, and that one may end while the pool lives. But somebody may have stopped us:
  // this signal makes a stopped process go on, also where it is blocked, and does nothing else.
  prctl(PR_SET_PDEATHSIG, SIGCONT);
  say({});
}

void zygote_loop::say_not_ready(int error) noexcept {
  const zygote_report report{zygote_report::not_ready, 0, 0, error};
  os::send_message(socket_.get(), std::as_bytes(std::span(&report, 1)));
}

void zygote_loop::run() {
  for (;;) {
    const bool wants_room = !unsent_.empty() && pause_ms_ < 0;
    pollfd watched[3] = {
        {socket_.get(), static_cast<short>(POLLIN | (wants_room ? POLLOUT : 0)), 0},
        {parent_.get(), POLLIN, 0},  // -1 is skipped
        {deaths_.get(), POLLIN, 0},
    };
    const bool reserve_due = reserve_wanted_ && reserve_.pid < 0;
    const int limit = reserve_due && pause_ms_ < 0 ? quiet_ms : pause_ms_;
    const int ready = poll(watched, std::size(watched), limit);
    if (ready < 0 && errno != EINTR) os::throw_errno(errno, "cannot wait");
    if (ready == 0 && reserve_due && pause_ms_ < 0) make_reserve();
    if (watched[1].revents != 0 || (watched[0].revents & (POLLHUP | POLLERR)) != 0) return;
    if (watched[2].revents != 0) reap();
    if (!unsent_.empty()) send_unsent();
    if ((watched[0].revents & POLLIN) != 0 && !take_requests()) return;
  }
}

bool zygote_loop::take_requests() {
  // One at a time: between two of them a poll looks whether the parent still lives.
  spawn_request request;
  const os::message received = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&request, 1)));
  if (received.what == os::message::state::none) return true;
  if (received.what == os::message::state::closed || received.bytes != sizeof request) return false;
  fault_point(fault::zygote_received);
  if (received.descriptors_lost) {
    say({zygote_report::spawn_failed, request.settings.lane, 0, EMFILE});
  } else {
    spawn(request, received.fds);
  }
  return true;
}

void zygote_loop::spawn(const spawn_request& request, const std::vector<os::unique_fd>& fds) {
  const std::uint32_t lane = request.settings.lane;
  children_.reserve(children_.size() + 1);  // a worker that runs is always in the list
  reserve_wanted_ = true;
  if (hand_over(request, fds)) {
    fault_point(fault::zygote_forked);
    reserve used = std::exchange(reserve_, {});
    children_.push_back({used.pid, lane});
    say({zygote_report::spawned, lane, used.pid, 0}, std::move(used.pidfd));
    return;
  }
  const pid_t zygote = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    leave_zygote(zygote);
    become_worker(request.settings, fds_of(request, fds));
  }
  fault_point(fault::zygote_forked);
  if (pid < 0) {
    say({zygote_report::spawn_failed, lane, 0, errno});
    return;
  }
  os::unique_fd pidfd;
  try {
    pidfd = os::pidfd_open(pid);
  } catch (const std::system_error& e) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    say({zygote_report::spawn_failed, lane, 0, e.code().value()});
    return;
  }
  children_.push_back({pid, lane});
  say({zygote_report::spawned, lane, pid, 0}, std::move(pidfd));
}

// False: there is no reserve, or it is dead and will be reaped.
bool zygote_loop::hand_over(const spawn_request& request, const std::vector<os::unique_fd>& fds) noexcept {
  if (reserve_.pid < 0) return false;
  // It would do this itself; but to move a process that sleeps costs nothing.
  if (request.settings.cpu >= 0) os::pin_to_cpu(static_cast<unsigned>(request.settings.cpu), reserve_.pid);
  int numbers[descriptors_of_worker] = {};
  std::size_t count = 0;
  for (const os::unique_fd& fd : fds) {
    if (count < std::size(numbers)) numbers[count++] = fd.get();
  }
  return os::send_message(reserve_.socket.get(), std::as_bytes(std::span(&request, 1)), std::span(numbers, count)) == 0;
}

// Without one all goes on as well. It is wanted again after the next request.
void zygote_loop::make_reserve() noexcept {
  reserve_wanted_ = false;
  pid_t pid = -1;
  try {
    auto [ours, theirs] = os::seqpacket_pair();
    const pid_t zygote = getpid();
    pid = fork();
    if (pid == 0) {
      ours.reset();
      wait_in_reserve(std::move(theirs), zygote);
    }
    if (pid > 0) reserve_ = {pid, os::pidfd_open(pid), std::move(ours)};
  } catch (const std::exception&) {
    if (pid == 0) _exit(EXIT_FAILURE);
    if (pid < 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

void zygote_loop::wait_in_reserve(os::unique_fd socket, pid_t zygote) {
  leave_zygote(zygote);
  os::set_thread_name("remuda-reserve");
  rehearse_worker();
  spawn_request request;
  os::message received;
  while (received.what == os::message::state::none) {
    pollfd asked{socket.get(), POLLIN, 0};
    poll(&asked, 1, -1);
    received = os::receive_message(socket.get(), std::as_writable_bytes(std::span(&request, 1)));
  }
  if (received.bytes != sizeof request || received.descriptors_lost) _exit(EXIT_FAILURE);
  socket.reset();
  // What was sent to it before it was a worker was not meant for one.
  sigset_t all;
  sigfillset(&all);
  const timespec now{};
  while (sigtimedwait(&all, nullptr, &now) > 0) {
  }
  become_worker(request.settings, fds_of(request, received.fds));
}

void zygote_loop::leave_zygote(pid_t zygote) noexcept {
  // The zygote forks in one thread only, which ends with it: here the kernel's signal means what it should.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != zygote) _exit(EXIT_FAILURE);
  socket_.reset();
  parent_.reset();
  deaths_.reset();
  reserve_ = {};
  for (unsent& u : unsent_) u.fd.reset();
}

void zygote_loop::become_worker(const worker_settings& settings, const worker_fds& fds) noexcept {
  worker_fds own = fds;
  if (fds.out >= 0 && dup2(fds.out, STDOUT_FILENO) < 0) _exit(EXIT_FAILURE);
  if (fds.err >= 0 && dup2(fds.err, STDERR_FILENO) < 0) _exit(EXIT_FAILURE);
  if (fds.out >= 0) close(fds.out);
  if (fds.err >= 0 && fds.err != fds.out) close(fds.err);
  own.out = STDOUT_FILENO;
  own.err = STDERR_FILENO;
  if (settings.name[0] != '\0') {
    os::set_thread_name({settings.name, std::find(settings.name, std::end(settings.name), '\0')});
  }
  // A CPU that was taken away in the meantime costs speed, not the worker.
  if (settings.cpu >= 0) os::pin_to_cpu(static_cast<unsigned>(settings.cpu));
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (worker_ != nullptr) worker_(settings, own);
  _exit(EXIT_SUCCESS);
}

void zygote_loop::reap() {
  signalfd_siginfo ignored[8];
  while (read(deaths_.get(), ignored, sizeof ignored) > 0) {
  }
  if (reserve_.pid > 0 && waitpid(reserve_.pid, nullptr, WNOHANG) == reserve_.pid) reserve_ = {};
  // One signal may stand for several deaths. Not waitpid(-1): a static constructor may have children of its own here.
  std::erase_if(children_, [this](const child& c) {
    int status = 0;
    if (waitpid(c.pid, &status, WNOHANG) != c.pid) return false;
    fault_point(fault::zygote_reaped);
    say({zygote_report::died, c.lane, c.pid, status});
    return true;
  });
}

void zygote_loop::say(const zygote_report& report, os::unique_fd fd) {
  unsent_.push_back({report, std::move(fd)});
  send_unsent();
}

// Never blocks: the parent may be blocked itself, sending us a request, until we read.
void zygote_loop::send_unsent() {
  pause_ms_ = -1;
  while (!unsent_.empty()) {
    const unsent& first = unsent_.front();
    const int fd = first.fd.get();
    const int error =
        os::send_message(socket_.get(), std::as_bytes(std::span(&first.report, 1)), std::span(&fd, first.fd ? 1 : 0));
    if (error == EAGAIN) return;
    if (error == ETOOMANYREFS || error == ENOMEM || error == ENOBUFS) {
      constexpr int a_while = 10;
      pause_ms_ = a_while;
      return;
    }
    unsent_.pop_front();  // sent, or EPIPE: then the parent does not want to know
  }
}

void zygote_loop::end(int exit_code) noexcept {
  // All of them first: one that takes long to die holds up no other.
  if (reserve_.pid > 0) children_.push_back({reserve_.pid, 0});
  for (const child& c : children_) kill(c.pid, SIGKILL);
  for (const child& c : children_) {
    while (waitpid(c.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  _exit(exit_code);
}

}  // namespace

void zygote_main(int socket, pid_t parent, worker_function worker) noexcept {
  // Static, so that nothing of it is destroyed in a worker: no stack of this function is ever unwound.
  static constinit zygote_loop* loop = nullptr;
  try {
    loop = new zygote_loop(socket, parent, worker);
    loop->prepare();
  } catch (const std::system_error& e) {
    if (loop != nullptr) loop->say_not_ready(e.code().value());
    _exit(EXIT_FAILURE);
  } catch (...) {
    if (loop != nullptr) loop->say_not_ready(ENOMEM);
    _exit(EXIT_FAILURE);
  }
  int exit_code = EXIT_SUCCESS;
  try {
    loop->run();
  } catch (...) {
    exit_code = EXIT_FAILURE;  // the parent sees that we are gone
  }
  loop->end(exit_code);
}

}  // namespace remuda::detail
