// What the rows of the benchmark programs mean: titles, which columns are shown, limits and aims. A row that is not
// listed here is shown with all that it has, and judged by nothing.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remuda::tool::bench {

/// The contestant that the aims are for.
inline constexpr std::string_view subject = "remuda";

struct row_spec {
  std::string title{};
  std::vector<std::string> columns{};                  ///< what is shown; the first one is compared
  std::vector<std::pair<std::string, double>> aims{};  ///< of a column: at most this
  double aim_of_limit = 0;                             ///< of the first column: at most so many limits; 0 = none
  std::pair<std::string, double> aim_over{};  ///< of the first column: at most so much more than that contestant's
  std::string limit{};                        ///< ROW/CONTESTANT, in the unit of the first column; empty = none
  bool at_least = false;                      ///< the aim is a lower bound, and the best is the largest
  std::string note{};
};

/// nullptr for a row of which nothing is known.
const row_spec* find_spec(std::string_view row);

/// Rows that differ in one number only, how many workers or producers take part.
struct scaling_series {
  const char* name;  ///< of the plot, [a-z_]
  const char* title;
  const char* axis;                                  ///< what is counted
  std::vector<std::pair<double, const char*>> rows;  ///< the number, and the row
};
const std::vector<scaling_series>& scaling();

/// The column as people read it: "p99.9 us".
std::string label(std::string_view column);
/// The unit that ends its name, "" for a plain number.
std::string_view unit(std::string_view column);
/// A value with three digits that matter.
std::string number(double value);

}  // namespace remuda::tool::bench
