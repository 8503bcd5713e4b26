// One line on the terminal that says how far long work has come. Nothing when stderr is not a terminal.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

namespace demo {

class progress {
 public:
  ~progress() { clear(); }
  progress() = default;
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// From here on percentages are shown, of so many steps.
  void expect(std::size_t steps) {
    expected_ = steps;
    done_ = 0;
  }
  void phase(std::string name) { phase_ = std::move(name); }

  /// Cheap enough to be called inside what is measured: it looks at the clock only now and then.
  void step() {
    if (++done_ % 256 != 0 || !on_terminal_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    show();
  }

  void clear() {
    if (!shown_) return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    shown_ = false;
  }

 private:
  void show() {
    if (expected_ == 0) {
      std::fprintf(stderr, "\r\033[K%s: %zu", phase_.c_str(), done_);
    } else {
      std::fprintf(stderr, "\r\033[K%3zu %%  %s", done_ * 100 / expected_, phase_.c_str());
    }
    std::fflush(stderr);
    shown_ = true;
  }

  const bool on_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  std::size_t expected_ = 0;
  std::size_t done_ = 0;
  std::string phase_;
  // Short work shows nothing.
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
};

}  // namespace demo
