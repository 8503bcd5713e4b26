// The plots of the report page, each an SVG element. All lengths of time are on logarithmic axes: what is compared lies
// orders of magnitude apart. An empty string where there is nothing to draw.
#pragma once

#include <string>
#include <string_view>

#include "tools/remuda/bench/judgement.hpp"

namespace remuda::tool::bench {

/// How many times the limit (or, where `to_limit` is false, the best other contestant) everyone takes, a line for each
/// row.
std::string ratio_plot(std::string_view id, const verdict&, bool to_limit);

/// The percentiles of everyone's delay in one row.
std::string percentile_plot(std::string_view id, const standing&);
/// The columns of a row that percentile_plot() shows; fewer than three are no curve.
bool has_curve(const standing&);

/// What each way to have a task done costs, and how long a task has to be for it.
std::string ladder_plot(std::string_view id, const row&);

/// How the rows of a series grow; empty unless two of them were measured.
std::string scaling_plot(std::string_view id, const scaling_series&, const verdict&);

}  // namespace remuda::tool::bench
