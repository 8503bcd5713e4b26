// Does a profile pay? A small benchmark of the pools with the built-in settings and with the profile, in alternation,
// so that what drifts (clock frequency, neighbours of a virtual machine) reaches both alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/remuda/tune/ratio.hpp"

namespace remuda::tool {

struct verified {
  std::string name;   ///< of the workload
  double before = 0;  ///< median time with the built-in settings, ns
  double after = 0;   ///< and with the profile
  ratio times;        ///< before / after
};

/// So many rounds are enough for each workload's interval.
inline constexpr unsigned usual_rounds = 21;

/// Runs all workloads so many times with each of both. `profile`: its file. `progress` is told the share that is done,
/// 0 to 1. The verdicts hold together: their confidence is shared out over the workloads. Throws what pools throw.
std::vector<verified> verify_profile(const std::string& profile, unsigned rounds,
                                     const std::function<void(double)>& progress);

/// The worst that is said of any, else better if that is said of any.
verdict overall(const std::vector<verified>& all);

}  // namespace remuda::tool
