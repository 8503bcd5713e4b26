#include "tools/remuda/tune/ratio.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/remuda/median.hpp"

namespace remuda::tool {

const char* name_of(verdict v) {
  switch (v) {
    case verdict::better:
      return "better";
    case verdict::worse:
      return "worse";
    case verdict::same:
      return "same";
    default:
      return "unclear";
  }
}

ratio compare(const std::vector<double>& before, const std::vector<double>& after, double confidence, double least) {
  std::vector<double> ratios;
  ratios.reserve(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) ratios.push_back(before[i] / after[i]);
  std::sort(ratios.begin(), ratios.end());
  const std::size_t n = ratios.size();

  ratio r;
  r.median = median(ratios);
  r.low = 0;
  r.high = std::numeric_limits<double>::infinity();
  // Each round lies above the true median with probability 1/2. So of n ordered ones the k-th and the k-th last hold it
  // between them but for twice the probability that fewer than k fall on one side. The largest k that is sure enough.
  double outside = 0;                                      // fewer than k on one side
  double exactly = std::pow(0.5, static_cast<double>(n));  // k of them
  for (std::size_t k = 0; 2 * k < n; ++k) {
    outside += exactly;
    if (2 * outside > 1 - confidence || 2 * (k + 1) > n) break;
    r.low = ratios[k];
    r.high = ratios[n - 1 - k];
    r.confidence = 1 - 2 * outside;
    exactly *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  if (r.confidence == 0) return r;
  r.said = verdict::same;
  if (r.low > 1 && r.median >= 1 + least) r.said = verdict::better;
  if (r.high < 1 && r.median <= 1 / (1 + least)) r.said = verdict::worse;
  return r;
}

}  // namespace remuda::tool
