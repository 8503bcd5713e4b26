#include "tools/remuda/measure/samples.hpp"

#include <algorithm>
#include <limits>

namespace remuda::tool {

void samples::add(double value) {
  if (seen_++ % every_ != 0) return;
  if (values_.size() >= most_) {
    for (std::size_t i = 0; 2 * i < values_.size(); ++i) values_[i] = values_[2 * i];
    values_.resize((values_.size() + 1) / 2);
    every_ *= 2;
    if ((seen_ - 1) % every_ != 0) return;
  }
  values_.push_back(value);
}

topo::summary samples::summarise() const {
  if (values_.empty()) return {};
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  };
  const auto repeats = std::min<std::uint64_t>(seen_, std::numeric_limits<unsigned>::max());
  return {at(0.5), at(0.1), at(0.9), at(0.99), static_cast<unsigned>(repeats)};
}

}  // namespace remuda::tool
