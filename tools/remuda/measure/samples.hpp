// Many measured values of one thing, and the few numbers that are told of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

/// Bounded, for a measurement may be told to go on for an hour: when it is full every second value goes, and from then
/// on only every second one comes in. So what is kept is spread evenly over the time.
class samples {
 public:
  explicit samples(std::size_t most = 65'536) : most_(most) {}

  void add(double value);

  /// The kept ones.
  const std::vector<double>& values() const { return values_; }

  /// Of how many values; percentiles of those that were kept, between two of them in proportion. Nothing = repeats 0.
  topo::summary summarise() const;

 private:
  std::size_t most_;
  std::uint64_t every_ = 1;
  std::uint64_t seen_ = 0;
  std::vector<double> values_;
};

}  // namespace remuda::tool
