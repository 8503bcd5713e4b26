// Samples of a delay and what is told of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;

inline double nanoseconds(clock::duration d) { return std::chrono::duration<double, std::nano>(d).count(); }

/// What a measurement tells, by name. The unit ends the name: _ns, _us, _ms.
using counters = std::map<std::string, double>;

class latency_recorder {
 public:
  explicit latency_recorder(std::size_t expected) { samples_.reserve(expected); }

  void record(clock::duration d) { samples_.push_back(nanoseconds(d)); }

  /// REQUIRES: something was recorded.
  counters summary() {
    std::sort(samples_.begin(), samples_.end());
    return {{"p50_us", quantile(0.5)},
            {"p90_us", quantile(0.9)},
            {"p99_us", quantile(0.99)},
            {"p999_us", quantile(0.999)},
            {"max_us", quantile(1)}};
  }

 private:
  /// Nearest rank, so that a quantile is always a delay that occurred.
  double quantile(double q) const {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(samples_.size())));
    return samples_[std::max<std::size_t>(rank, 1) - 1] / 1e3;
  }

  std::vector<double> samples_;
};

}  // namespace bench
