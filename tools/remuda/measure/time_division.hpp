// One bound for the time of everything, divided among steps by weight. Each step gets its share of what is left, not of
// the whole, so that one that took longer (or shorter) is made up for by all that follow.
#pragma once

#include <algorithm>

namespace remuda::tool {

class time_division {
 public:
  /// `weights`: the sum over all steps to come.
  time_division(double seconds, double weights) : seconds_(seconds), weights_(weights) {}

  /// Seconds for the next step, when so many have passed since the start. 0 when they are used up.
  double next(double weight, double passed) {
    const double share = weights_ > weight ? weight / weights_ : 1;
    weights_ -= weight;
    return std::max(0.0, seconds_ - passed) * share;
  }

  /// A step that will not take place.
  void leave_out(double weight) { weights_ -= weight; }

 private:
  double seconds_;
  double weights_;
};

}  // namespace remuda::tool
