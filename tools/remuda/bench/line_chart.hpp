// Lines over a few named places of a horizontal axis, with their names at their ends instead of a legend.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remuda::tool::bench {

struct tick {
  double at = 0;  ///< 0..1 of the width
  std::string text;
};

struct series {
  std::string name;
  std::vector<double> values;  ///< one for each tick; not > 0: none there
};

struct line_chart {
  std::string id, description;
  std::string x_title;
  std::vector<tick> ticks;
  std::string unit;  ///< of the values
  std::vector<series> lines;

  /// Empty when no value can be drawn.
  std::string draw() const;
};

/// The class of a contestant's colour: the same one wherever it appears. `uses` counts, over one plot, how many had a
/// colour before, and chooses the dashes.
std::string colour_class(std::string_view contestant, std::vector<unsigned>& uses);

}  // namespace remuda::tool::bench
