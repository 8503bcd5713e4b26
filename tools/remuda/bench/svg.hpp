// A drawing of a plot, element by element. Colours and fonts are classes of the page's style sheet, so that the same
// drawing serves light, dark and paper.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remuda::tool::bench {

/// Text as it may stand in HTML and SVG, also in attributes. Control characters become U+FFFD.
std::string escaped(std::string_view text);
/// At most so many characters, with an ellipsis for the rest.
std::string shortened(std::string_view text, std::size_t characters);
/// Width in pixels of an identifier as labels show it, in the class `name`.
double name_width(std::string_view text);

struct point {
  double x = 0, y = 0;
};

enum class anchor { start, middle, end };
enum class shape { circle, diamond, triangle, ring };

class drawing {
 public:
  /// `id` has to be an identifier, and the only one of its name on the page. `description` is for those who do not see.
  drawing(std::string_view id, double width, double height, std::string_view description);

  void line(point from, point to, std::string_view css_class);
  void path(const std::vector<point>& points, std::string_view css_class);
  void text(point at, std::string_view text, anchor, std::string_view css_class);
  /// A point of the data; `tip` is shown under the mouse.
  void mark(shape, point at, std::string_view css_class, std::string_view tip);

  std::string take() &&;

 private:
  std::string out_;
};

/// A logarithmic axis that shows all values from `low` to `high`, both > 0.
class log_axis {
 public:
  log_axis(double low, double high, double from_pixel, double to_pixel);
  double at(double value) const;
  /// Values to be labelled, at most `at_most`.
  std::vector<double> ticks(std::size_t at_most) const;

 private:
  double low_, high_;  // logarithms
  double from_, to_;
};

/// Moves labels apart that would overlap, in the order in which they stand; all within [top, bottom] as far as there is
/// room.
std::vector<double> spread_out(const std::vector<double>& wanted, double apart, double top, double bottom);

}  // namespace remuda::tool::bench
