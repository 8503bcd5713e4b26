// A line on the terminal that says how far long work has come. Nothing where stderr is no terminal.
#pragma once

#include <string_view>

#include "tools/remuda/measure/threads.hpp"

namespace remuda::tool {

class progress_bar {
 public:
  progress_bar();
  ~progress_bar() { clear(); }
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// At most some times a second, and not in the first moments: short work shows nothing. `done` from 0 to 1.
  void show(double done, double seconds_left, std::string_view now);

  /// Takes the line away.
  void clear();

 private:
  bool on_terminal_;
  bool shown_ = false;
  clock::time_point next_;
};

}  // namespace remuda::tool
