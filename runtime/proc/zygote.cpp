#include "runtime/proc/zygote.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <span>
#include <string>

#include "remuda/error.hpp"
#include "remuda/process_entry.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/os/socket.hpp"
#include "runtime/proc/entry.hpp"
#include "runtime/proc/zygote_protocol.hpp"
#include "runtime/proc/zygote_start.hpp"

namespace remuda::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto start_limit = 60s;     // for static constructors of the program; without a limit it could hang
constexpr auto patience_at_end = 2s;  // with a zygote that was stopped
constexpr auto patience_to_send = 10s;

std::string how_it_ended(std::optional<int> status) {
  if (!status) return "it ended, and something else in this process took its wait status";
  if (WIFSIGNALED(*status)) return std::string("signal ") + strsignal(WTERMSIG(*status)) + " ended it";
  return "it ended with exit code " + std::to_string(WEXITSTATUS(*status));
}

}  // namespace

zygote::zygote(start_method how) : zygote(how, without_waiting{}) { await_ready(); }

zygote::zygote(start_method how, without_waiting) : owner_(getpid()) {
  if (how == start_method::zygote && !entry_is_linked()) {
    throw error(
        "remuda: start_method::zygote starts this program anew as the zygote, and nothing in it would keep that "
        "process "
        "from running main(). Link the executable with the CMake target remuda::remuda or the flags of pkg-config "
        "remuda; or call remuda::process_entry(argc, argv) first in main() and make no process pool before it; or use "
        "start_method::fork");
  }
  auto [ours, theirs] = os::seqpacket_pair();
  socket_ = std::move(ours);
  started_zygote started = how == start_method::fork ? start_by_fork(theirs.get()) : start_by_exec(theirs.get());
  theirs.reset();  // or its death would not close the socket
  pid_ = started.pid;
  pidfd_ = std::move(started.pidfd);
}

void zygote::await_ready() {
  if (ready_) return;
  const auto limit = std::chrono::steady_clock::now() + start_limit;
  for (;;) {
    pollfd answer{socket_.get(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now()).count();
    if (left <= 0) {
      throw error(
          "remuda: the zygote of a process pool was not ready after 60 s: does a static constructor of the program "
          "wait for something?");
    }
    const int rc = poll(&answer, 1, static_cast<int>(left));
    if (rc < 0 && errno != EINTR) os::throw_errno(errno, "cannot wait for the zygote");
    if (rc > 0) break;
  }
  zygote_report hello;
  const os::message received = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&hello, 1)));
  if (received.what == os::message::state::data && received.bytes == sizeof hello) {
    ready_ = hello.what == zygote_report::ready;
    if (ready_) return;
    os::throw_errno(hello.status, "the zygote of a process pool cannot start");
  }
  os::wait_until_ended(pidfd_.get(), patience_at_end);
  throw error("remuda: the zygote of a process pool did not come up: " + how_it_ended(os::reap(pidfd_.get())) +
              ". Does a static constructor of the program, or code before remuda::process_entry() in main(), end the "
              "process or close descriptors that it has not opened?");
}

zygote::~zygote() {
  if (getpid() == owner_) end();
}

void zygote::end() noexcept {
  // Not only close(): a child that the user forked may hold a copy of our end.
  shutdown(socket_.get(), SHUT_RDWR);
  if (!os::wait_until_ended(pidfd_.get(), patience_at_end)) {
    // Somebody has stopped it. The workers go with it, by the kernel's doing.
    os::send_signal(pidfd_.get(), SIGKILL);
    os::wait_until_ended(pidfd_.get(), std::chrono::hours(1));
  }
  os::reap(pidfd_.get());  // nothing to take when the user's handler of SIGCHLD was faster, or it is ignored
}

void zygote::spawn(const worker_settings& settings, const worker_fds& fds) {
  spawn_request request{settings, 0};
  std::array<int, descriptors_of_worker> sent{};
  std::size_t count = 0;
  const std::array<int, descriptors_of_worker> all{fds.segment, fds.heap, fds.bell, fds.out, fds.err};
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] < 0) continue;
    request.descriptors |= 1U << i;
    sent[count++] = all[i];
  }
  const auto limit = std::chrono::steady_clock::now() + patience_to_send;
  for (;;) {
    const int error =
        os::send_message(socket_.get(), std::as_bytes(std::span(&request, 1)), std::span(sent.data(), count));
    if (error == 0) return;
    if (!ready_) {  // it reads nothing yet, which may take long, or has not come up, which is told here
      await_ready();
      continue;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now()).count();
    if ((error != EAGAIN && error != ETOOMANYREFS) || left <= 0) {
      os::throw_errno(error == EAGAIN ? ETIMEDOUT : error, "cannot ask the zygote for a worker");
    }
    // The zygote never blocks on us, so that there is room soon. Too many descriptors under way: nothing announces
    // the end of that.
    pollfd room{socket_.get(), POLLOUT, 0};
    constexpr long a_while = 10;
    if (error == EAGAIN) {
      poll(&room, 1, static_cast<int>(left));
    } else {
      poll(nullptr, 0, static_cast<int>(std::min<long>(left, a_while)));
    }
  }
}

std::optional<zygote::event> zygote::receive() {
  if (over_) return {};
  zygote_report report;
  os::message received = os::receive_message(socket_.get(), std::as_writable_bytes(std::span(&report, 1)));
  if (received.what == os::message::state::none) return {};
  event happened;
  if (received.what == os::message::state::closed || received.bytes != sizeof report) {
    // The socket closes moments before the process is a zombie.
    if (!os::wait_until_ended(pidfd_.get(), 100ms)) {
      os::send_signal(pidfd_.get(), SIGKILL);
      os::wait_until_ended(pidfd_.get(), patience_at_end);
    }
    over_ = true;
    happened.what = event::zygote_died;
    happened.pid = pid_;
    happened.status = os::reap(pidfd_.get()).value_or(0);
    return happened;
  }
  happened.lane = report.lane;
  happened.pid = report.pid;
  happened.status = report.status;
  switch (report.what) {
    case zygote_report::spawned:
      happened.what = event::spawned;
      // Lost when this process has no descriptor free. The worker is there all the same; its end comes as `died`.
      if (!received.fds.empty()) happened.pidfd = std::move(received.fds.front());
      break;
    case zygote_report::died:
      happened.what = event::died;
      break;
    default:
      happened.what = event::spawn_failed;
      break;
  }
  return happened;
}

}  // namespace remuda::detail
