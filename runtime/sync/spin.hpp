// How long to spin before sleeping: the one spin budget of the project.
//
// A sleeping thread costs its waker 10 us and starts 25-50 us late, so spinning pays when the next event comes within
// about that time, and only then: spinning for less than a wake-up costs CPU and gains nothing. So the budget is all or
// nothing, decided by how long the recent gaps were.
#pragma once

#include <chrono>
#include <cstdint>

#include "remuda/detail/sync.hpp"

namespace remuda::detail {

using clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

inline constexpr nanoseconds never_spin{0};
inline constexpr nanoseconds always_spin = nanoseconds::max();
/// Somewhat more than one wake-up takes on a virtual machine, from the call to the first instruction: who waits for a
/// task that a sleeping worker has to run should not fall asleep just before it is done.
inline constexpr nanoseconds balanced_spin{100'000};

/// Predicts from past gaps whether the next one is shorter than `limit`. One thread.
class spin_budget {
 public:
  explicit constexpr spin_budget(nanoseconds limit) : limit_(limit) {}

  /// The CPU was shared with another thread: the next wait sleeps at once, for the kernel places a thread that it wakes
  /// on an idle CPU, but leaves one that spins where it is.
  void was_contended() { score_ = 0; }

  nanoseconds next() const { return limit_ == always_spin || score_ > 0 ? limit_ : never_spin; }

  /// `gap`: from running out of work to having it again. One that was slept through counts the wake-up too.
  void observed(nanoseconds gap) {
    if (gap / 2 <= limit_) {
      score_ = score_ < best ? score_ + 1 : best;
    } else if (score_ > 0) {
      --score_;
    }
  }

 private:
  static constexpr int best = 8;
  nanoseconds limit_;
  int score_ = 0;
};

/// One bounded spin: `for (spinner s(budget); !ready() && s.turn();) {}`.
class spinner {
 public:
  explicit spinner(nanoseconds budget) : budget_(budget) {}

  /// Pauses briefly; false when the budget is spent, or somebody else wants the CPU. Reads the clock once in a while,
  /// for that costs as much as a pause.
  bool turn() {
    if (budget_ <= never_spin) return false;
    std_sync::pause();
    if (++turns_ % turns_per_look != 0) return true;
    const auto now = clock::now();
    if (turns_ == turns_per_look) start_ = now;
    if (now - start_ >= budget_) return false;
    if (now - start_ < polite_after) return true;
    // Somebody else may need this very CPU to make happen what we wait for. Costs 0.2 us when nobody does. When
    // somebody does, it takes longer: then spinning is over, for a thread that sleeps is woken on a CPU of its own if
    // there is one.
    std::this_thread::yield();
    contended_ = clock::now() - now >= contended_yield ? contended_ + 1 : 0;
    return contended_ < 2 || budget_ == always_spin;  // one long yield may be an interrupt
  }

  /// The last turn() has given the CPU to somebody else.
  bool contended() const { return contended_ != 0; }

 private:
  static constexpr std::uint32_t turns_per_look = 32;
  static constexpr nanoseconds polite_after{2'000};
  static constexpr nanoseconds contended_yield{1'000};
  nanoseconds budget_;
  clock::time_point start_{};
  std::uint32_t turns_ = 0;
  std::uint32_t contended_ = 0;  // yields in a row
};

}  // namespace remuda::detail
