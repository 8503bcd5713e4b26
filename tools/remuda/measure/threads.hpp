// Threads on certain CPUs, for the time of one measurement. Whatever happens (Ctrl-C, an error, a CPU that went away)
// they end and are joined: nobody waits for a partner without looking whether it is over.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "remuda/detail/sync.hpp"

namespace remuda::tool {

using clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

inline double nanoseconds_between(clock::time_point from, clock::time_point to) {
  return std::chrono::duration<double, std::nano>(to - from).count();
}

/// This CPU cannot be used: it went offline, or out of the cpuset, or the system refuses.
class cannot_pin : public std::runtime_error {
 public:
  cannot_pin(unsigned cpu, int error);
};

/// SIGINT and SIGTERM end what is measured; the second one ends the program at once. A signal that is ignored, as in a
/// background job of a script, stays so.
class interrupts {
 public:
  interrupts();
  ~interrupts();
  interrupts(const interrupts&) = delete;
  interrupts& operator=(const interrupts&) = delete;

  /// The signal that came; 0 = none. Any thread.
  static int seen() noexcept;
};

/// Until when a step goes on.
class limit {
 public:
  explicit limit(clock::time_point until) : until_(until) {}
  bool reached() const { return interrupts::seen() != 0 || clock::now() >= until_; }

 private:
  clock::time_point until_;
};

using flag = detail::atomic<bool>;

/// Spins until `ready()`, or until `give_up()` says so, which is asked from time to time; then false. Without a pause
/// between the looks: what is measured is the machine, and on some a pause is longer than a round trip. Yields when it
/// takes long, for then somebody else may need this CPU to make ready what is awaited.
template <class Ready, class GiveUp>
bool await(Ready ready, GiveUp give_up) {
  constexpr unsigned looks = 4096;
  for (;;) {
    for (unsigned i = 0; i < looks; ++i) {
      if (ready()) return true;
    }
    if (give_up()) return false;
    std::this_thread::yield();
  }
}

template <class Ready>
void await(Ready ready) {
  await(ready, [] { return false; });
}

/// Runs `body` in a thread on this CPU (nothing = on any) and waits for its end. What it throws comes out here. Throws
/// cannot_pin and std::system_error.
void on_cpu(std::optional<unsigned> cpu, const std::function<void()>& body);

/// The other thread of a measurement.
class partner {
 public:
  /// `body(ended)` runs on this CPU when the constructor returns, throws nothing, and returns soon after `ended` has
  /// become true and `release()`, if there is one, was called after that. Throws cannot_pin and std::system_error.
  partner(unsigned cpu, std::function<void(const flag& ended)> body, std::function<void()> release = {});
  ~partner();
  partner(const partner&) = delete;
  partner& operator=(const partner&) = delete;

 private:
  std::function<void(const flag&)> body_;
  std::function<void()> release_;
  flag ended_{false};
  detail::atomic<int> start_error_{not_started};
  std::thread thread_;

  static constexpr int not_started = -1;
};

}  // namespace remuda::tool
