// The core to core matrix as a picture: near CPUs are light, far ones dark, on a logarithmic scale between the fastest
// and the slowest pair.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

/// For a terminal of so many columns. Values of the medians in the fields where there is room, else one sign a field;
/// where even that is too wide, several CPUs share a field, and it shows the mean of what was measured in it. With
/// `colour`, fields are shaded by ANSI sequences of 256 colours; without, digits from 0 (fastest) to 9 (slowest) do
/// that where there is no room for values. Fields without a measurement are dots. With a legend; empty for no matrix.
std::string heat_map_text(const topo::measurements& m, bool colour, std::size_t columns);

/// One SVG document that needs nothing else: each pair is a field with its values as a tool tip.
std::string heat_map_svg(const topo::measurements& m);

}  // namespace remuda::tool
