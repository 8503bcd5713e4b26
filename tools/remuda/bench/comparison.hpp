// Two reports side by side: what changed, and whether by more than it scatters.
#pragma once

#include <string>
#include <vector>

#include "tools/remuda/bench/results.hpp"
#include "tools/remuda/bench/statistics.hpp"

namespace remuda::tool::bench {

struct change {
  std::string row, contestant, column;
  double a = 0, b = 0;  ///< medians
  difference found;
  bool better = false, worse = false;  ///< beyond noise; neither: no change that could be told from it

  /// Of b against a, in percent; empty where there is none: a is 0.
  std::optional<double> percent() const;
};

struct comparison {
  std::vector<change> changes;              ///< the largest first
  std::vector<std::string> only_a, only_b;  ///< "ROW/CONTESTANT"
  std::vector<std::string> warnings;        ///< why they should not be compared
  std::optional<double> drift_percent;      ///< the median change of all who are not remuda: that of the machine

  /// Whether remuda got worse anywhere, beyond noise.
  bool regressed() const;
};

/// Every row, contestant by contestant, in the column that is compared.
comparison compare(const report& a, const report& b);

std::string to_text(const comparison&);
std::string to_json(const comparison&);

}  // namespace remuda::tool::bench
