// One run of `remuda measure`: what is to be measured becomes a list of steps, which take turns in rounds until the
// time is used up.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

/// The measurements that there are, by the names of --only, in the order of the report.
const std::vector<std::string>& measurement_names();

struct measure_settings {
  topology machine;               ///< the CPUs to measure on
  std::vector<std::string> only;  ///< of measurement_names(); empty = all
  double seconds = 20;            ///< for everything. Each step is taken once in any case, so it can be more

  /// Called by the thread that called measure(), before each step: how much is done (0..1), the seconds that are left
  /// by estimate, and what comes now.
  std::function<void(double done, double left, std::string_view now)> progress = [](double, double, std::string_view) {
  };
};

/// Measures. A CPU that cannot be used, and what needs two where there is one, is left out, with a sentence in
/// `doubts`. Ends early, with what it has, when a signal came (class interrupts). The calling thread must be the only
/// one of the process. Throws std::system_error where threads, memory or processes cannot be had, and
/// std::runtime_error when a second process ends before it should.
topo::measurements measure(const measure_settings& settings);

}  // namespace remuda::tool
