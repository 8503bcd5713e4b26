#include "tools/remuda/measure/threads.hpp"

#include <array>
#include <csignal>
#include <exception>
#include <system_error>
#include <utility>

#include "runtime/os/affinity.hpp"
#include "runtime/os/error.hpp"

namespace remuda::tool {
namespace {

using sync = detail::std_sync;

detail::atomic<int> signal_seen{0};
static_assert(detail::atomic<int>::is_always_lock_free, "a signal handler writes it");

constexpr std::array<int, 2> watched{SIGINT, SIGTERM};
std::array<struct sigaction, watched.size()> former;

extern "C" void note_signal(int signal) { signal_seen.store(signal, sync::relaxed); }

template <class Body>
std::thread start_thread(Body body) try {
  return std::thread(std::move(body));
} catch (const std::system_error& e) {
  os::throw_errno(e.code().value(), "cannot start a thread to measure with");
}

}  // namespace

cannot_pin::cannot_pin(unsigned cpu, int error)
    : std::runtime_error("CPU " + std::to_string(cpu) +
                         " cannot be used: " + std::error_code(error, std::generic_category()).message()) {}

interrupts::interrupts() {
  signal_seen.store(0, sync::relaxed);
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  for (std::size_t i = 0; i < watched.size(); ++i) {
    sigaction(watched.at(i), nullptr, &former.at(i));
    if (former.at(i).sa_handler != SIG_IGN) sigaction(watched.at(i), &action, nullptr);
  }
}

interrupts::~interrupts() {
  for (std::size_t i = 0; i < watched.size(); ++i) sigaction(watched.at(i), &former.at(i), nullptr);
}

// relaxed: it says only that one should stop
int interrupts::seen() noexcept { return signal_seen.load(sync::relaxed); }

void on_cpu(std::optional<unsigned> cpu, const std::function<void()>& body) {
  std::exception_ptr error;
  start_thread([&] {
    try {
      if (const int refused = cpu ? os::pin_to_cpu(*cpu) : 0; refused != 0) throw cannot_pin(*cpu, refused);
      body();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

partner::partner(unsigned cpu, std::function<void(const flag&)> body, std::function<void()> release)
    : body_(std::move(body)), release_(std::move(release)) {
  thread_ = start_thread([this, cpu] {
    const int refused = os::pin_to_cpu(cpu);
    start_error_.store(refused, sync::release);
    start_error_.notify_one();
    if (refused == 0) body_(ended_);
  });
  start_error_.wait(not_started, sync::acquire);
  if (const int refused = start_error_.load(sync::acquire); refused != 0) {
    thread_.join();
    throw cannot_pin(cpu, refused);
  }
}

partner::~partner() {
  ended_.store(true, sync::release);
  if (release_) release_();
  thread_.join();
}

}  // namespace remuda::tool
