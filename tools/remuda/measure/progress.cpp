#include "tools/remuda/measure/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace remuda::tool {

progress_bar::progress_bar()
    : on_terminal_(isatty(STDERR_FILENO) == 1), next_(clock::now() + std::chrono::milliseconds(300)) {}

void progress_bar::show(double done, double seconds_left, std::string_view now) {
  if (!on_terminal_ || clock::now() < next_) return;
  next_ = clock::now() + std::chrono::milliseconds(100);
  constexpr std::size_t width = 20;
  const double share = std::clamp(done, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * width);
  fmt::print(stderr, "\r\033[K{:3.0f} % [{:#<{}}{:.<{}}] {:.0f} s left  {}", std::floor(share * 100), "", full, "",
             width - full, std::ceil(seconds_left), now.substr(0, 36));
  std::fflush(stderr);
  shown_ = true;
}

void progress_bar::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace remuda::tool
