// How often stress tests repeat.
#pragma once

#include <algorithm>

namespace remuda::test {

#ifdef REMUDA_STRESS_DIVISOR
inline constexpr int stress_divisor = REMUDA_STRESS_DIVISOR;
#else
inline constexpr int stress_divisor = 1;
#endif

/// `count`, or fewer where a sanitizer makes everything slow.
constexpr int scaled(int count) { return std::max(1, count / stress_divisor); }

}  // namespace remuda::test
