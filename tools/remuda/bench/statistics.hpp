// Whether two series of rounds differ by more than they scatter. Rounds are few and not normal, so only their order is
// used: the test of Mann and Whitney, exactly, and the interval that belongs to it.
#pragma once

#include <optional>
#include <vector>

namespace remuda::tool::bench {

/// How much of the time an interval of compare_rounds() holds the true ratio; a change outside of it has at most the
/// rest as its chance to be noise.
inline constexpr double confidence = 0.99;

struct ratio_interval {
  double ratio = 1;  ///< of b to a: the median of all quotients of two rounds
  double low = 1, high = 1;
};

enum class finding { within_noise, larger, smaller, too_few_rounds };

struct difference {
  finding found = finding::too_few_rounds;   ///< of b, against a
  std::optional<ratio_interval> interval{};  ///< empty with too few rounds, or where a value is not > 0
};

/// With 5 rounds each, a difference counts only when every round of the one lies above every round of the other; with
/// fewer (4 and 6 are enough too) no order could be told from chance.
difference compare_rounds(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace remuda::tool::bench
