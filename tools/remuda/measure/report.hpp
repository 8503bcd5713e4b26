// Measurements as a text for people.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

/// With colour and for a width as heat_map_text(). What was not measured is not in it.
std::string report_text(const topo::measurements& m, bool colour, std::size_t columns);

}  // namespace remuda::tool
