// Numbers in texts for people.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

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

}  // namespace remuda::tool
