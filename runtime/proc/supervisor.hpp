// What the pool's own thread watches, and how it tells one from another.
#pragma once

#include <cstdint>

namespace remuda::detail {

enum class watched : std::uint32_t { zygote, kick, bell, out, err };

constexpr std::uint64_t tag_of(std::uint32_t lane, watched what) {
  return std::uint64_t{lane} << 8 | static_cast<std::uint64_t>(what);
}
constexpr watched what_of(std::uint64_t tag) { return static_cast<watched>(tag & 0xFF); }
constexpr std::uint32_t lane_of(std::uint64_t tag) { return static_cast<std::uint32_t>(tag >> 8); }

}  // namespace remuda::detail
