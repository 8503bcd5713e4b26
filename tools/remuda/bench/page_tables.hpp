// The tables of the report page, as HTML. An empty string where there is nothing to show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/remuda/bench/judgement.hpp"

namespace remuda::tool::bench {

/// A column as the page names it.
std::string page_label(std::string_view column);

std::string losses_table(const std::vector<loss>&);
std::string row_tables(const verdict&);
std::string limits_table(const verdict&);
std::string facts_table(const report&);

}  // namespace remuda::tool::bench
