#include "tools/remuda/bench/statistics.hpp"

#include <algorithm>
#include <cstddef>

#include "tools/remuda/bench/results.hpp"
#include "tools/remuda/median.hpp"

namespace remuda::tool::bench {
namespace {

constexpr std::size_t enough = 60;  // rounds; more would only take time

/// In how many of all orders of m and n rounds the number of pairs (of one of each) in which b is smaller is 0, 1, ...
/// As chances. The coefficients of the Gaussian binomial: the product of (1 - q^(n+i)) / (1 - q^i), i = 1..m.
std::vector<double> chances_of_pairs(std::size_t m, std::size_t n) {
  std::vector<double> c(m * n + 1, 0.0);
  c[0] = 1;
  for (std::size_t i = 1; i <= m; ++i) {
    for (std::size_t k = m * n; k >= n + i && k <= m * n; --k) c[k] -= c[k - n - i];
    for (std::size_t k = i; k <= m * n; ++k) c[k] += c[k - i];
  }
  double all = 0;
  for (const double x : c) all += x;
  for (double& x : c) x /= all;
  return c;
}

/// The largest k so that k pairs or fewer have no greater chance than what the confidence leaves for each side, plus 1;
/// 0 when not even no pair at all is that rare.
std::size_t rare_pairs(std::size_t m, std::size_t n) {
  const auto chances = chances_of_pairs(m, n);
  std::size_t k = 0;
  for (double sum = 0; k < chances.size(); ++k) {
    sum += chances[k];
    if (sum > (1 - confidence) / 2) break;
  }
  return k;
}

}  // namespace

difference compare_rounds(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() > enough || b.size() > enough) {
    const auto head = [](const std::vector<double>& v) {
      return std::vector<double>(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(std::min(v.size(), enough)));
    };
    return compare_rounds(head(a), head(b));
  }
  difference d;
  if (a.empty() || b.empty()) return d;
  const std::size_t rare = rare_pairs(a.size(), b.size());
  if (rare == 0) return d;

  // Equal rounds count for both sides: they speak for no difference.
  std::size_t not_larger = 0;
  std::size_t not_smaller = 0;
  for (const double x : a) {
    for (const double y : b) {
      not_larger += y <= x ? 1 : 0;
      not_smaller += y >= x ? 1 : 0;
    }
  }
  d.found = not_larger < rare ? finding::larger : not_smaller < rare ? finding::smaller : finding::within_noise;

  const auto positive = [](double x) { return x > 0; };
  if (!std::all_of(a.begin(), a.end(), positive) || !std::all_of(b.begin(), b.end(), positive)) return d;
  std::vector<double> quotients;
  quotients.reserve(a.size() * b.size());
  for (const double x : a) {
    for (const double y : b) quotients.push_back(y / x);
  }
  std::sort(quotients.begin(), quotients.end());
  d.interval = ratio_interval{median(quotients), quotients[rare - 1], quotients[quotients.size() - rare]};
  return d;
}

}  // namespace remuda::tool::bench
