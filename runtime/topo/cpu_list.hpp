// CPU numbers as the kernel writes and reads them: "0-3,8". One parser and one printer, for /sys, options and reports.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::topo {

/// Larger numbers are no CPUs: the largest Linux kernel has 8192.
inline constexpr unsigned largest_cpu_number = 65'535;

/// The numbers of the list, ascending and each once; none for an empty text. White space around the list and around
/// its commas is fine. Nothing for any other text, for a range that runs backwards, and for numbers that are too large.
/// The time is that of the text and of the result, however often a range is repeated. Throws only std::bad_alloc.
std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text);

/// The list of these numbers, which are ascending and each there once. Empty for none.
std::string to_cpu_list(const std::vector<unsigned>& numbers);

}  // namespace remuda::topo
