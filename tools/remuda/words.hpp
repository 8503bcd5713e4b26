// Numbers in texts for people.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::tool {

/// "1 CPU", "2 CPUs". For words that take an s.
inline std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// "512 B", "32 KiB", "24.5 GiB": three figures at least where there is a fraction, none where there is not.
inline std::string bytes(std::uint64_t count) {
  static constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  auto value = static_cast<double>(count);
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return fmt::format("{:.{}f} {}", value, whole || value >= 100 ? 0 : 1, units[unit]);
}

/// Numbers, ascending, as taskset reads them: "0-3,8", and "0-254:2" for every second one, which is what the first
/// threads of all cores are on many machines.
inline std::string list(const std::vector<unsigned>& numbers) {
  constexpr std::size_t worth_it = 4;  // numbers with the same gaps
  std::string text;
  for (std::size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
    end = begin + 1;
    const unsigned step = end < numbers.size() ? numbers[end] - numbers[begin] : 1;
    while (end < numbers.size() && numbers[end] - numbers[end - 1] == step) ++end;
    if (step != 1 && end - begin < worth_it) end = begin + 1;
    if (begin != 0) text += ',';
    text += std::to_string(numbers[begin]);
    if (end - begin > 1) text += '-' + std::to_string(numbers[end - 1]);
    if (end - begin > 1 && step != 1) text += ':' + std::to_string(step);
  }
  return text;
}

}  // namespace remuda::tool
