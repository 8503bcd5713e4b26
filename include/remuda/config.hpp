// Version and the machine constants that layouts rest on. The only macros of the library are here.
#pragma once

#include <cstddef>

#define REMUDA_VERSION_MAJOR 0
#define REMUDA_VERSION_MINOR 1
#define REMUDA_VERSION_PATCH 0
#define REMUDA_VERSION "0.1.0"

namespace remuda {

/// Bytes kept between two members that different threads write. 64 on x86-64 and most aarch64 cores. A constant rather
/// than std::hardware_destructive_interference_size, whose value changes with compiler flags and so breaks the ABI.
inline constexpr std::size_t cache_line = 64;

}  // namespace remuda
