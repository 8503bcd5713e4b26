#include "runtime/proc/entry.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "remuda/process_entry.hpp"
#include "runtime/proc/worker_main.hpp"
#include "runtime/proc/zygote_main.hpp"

// Defined where the hook before main() is linked in (before_main/wrap_main.cpp); null elsewhere.
extern "C" [[gnu::weak]] int remuda_main(int argc, char** argv, char** environment) __asm__("__wrap_main");

namespace remuda {
namespace detail {
namespace {

// All are written while the process has one thread: before main(), first in it, or in a child after fork().
constinit bool main_has_entry = false;
constinit bool is_zygote = false;
constinit worker_function worker_of_program = &worker_main;

struct call_to_be_zygote {
  int socket = -1;
  pid_t parent = -1;
};

// What the variable says, when it is there and means this process.
std::optional<call_to_be_zygote> called() noexcept {
  const char* const text = std::getenv(zygote_variable);
  if (text == nullptr) return {};
  const char* at = text;
  const char* const end = text + std::strlen(text);
  int numbers[3] = {};
  for (int& number : numbers) {
    if (at != text && at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) return {};
    at = next;
  }
  if (at != end || numbers[2] != getpid()) return {};
  return call_to_be_zygote{numbers[0], numbers[1]};
}

bool is_our_kind_of_socket(int fd) noexcept {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

bool entry_is_linked() noexcept { return main_has_entry || &remuda_main != nullptr; }

bool in_zygote_start() noexcept { return is_zygote || called().has_value(); }

void become_zygote() noexcept { is_zygote = true; }

void set_worker_function(worker_function worker) noexcept { worker_of_program = worker; }

worker_function the_worker_function() noexcept { return worker_of_program; }

}  // namespace detail

void process_entry(int /*argc*/, char** /*argv*/) noexcept {
  const std::optional<detail::call_to_be_zygote> call = detail::called();
  if (!call) {
    if (!detail::main_has_entry) detail::main_has_entry = true;
    return;
  }
  detail::become_zygote();
  unsetenv(detail::zygote_variable);  // or a program that a task starts would see it
  // From here on main() must not go on, whatever is wrong.
  const pid_t parent = getppid();
  const bool orphan = parent != call->parent && parent != 0;  // 0: the parent is in an outer process namespace
  if (orphan || !detail::is_our_kind_of_socket(call->socket)) _exit(EXIT_FAILURE);
  fcntl(call->socket, F_SETFD, FD_CLOEXEC);
  detail::zygote_main(call->socket, parent, detail::the_worker_function());
}

}  // namespace remuda
