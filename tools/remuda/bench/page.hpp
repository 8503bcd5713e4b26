// The report as one HTML page that needs nothing from outside: no scripts, no fonts, no pictures.
#pragma once

#include <string>

#include "tools/remuda/bench/results.hpp"

namespace remuda::tool::bench {

/// Whatever stands in the report, the page is well-formed, and shows it as text.
std::string to_page(const report&);

}  // namespace remuda::tool::bench
