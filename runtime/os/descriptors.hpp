// All descriptors of a process at a time. For a child between fork and exec: nothing here allocates or takes a lock.
#pragma once

namespace remuda::os {

/// Makes every descriptor from 3 on end with the next exec, except `keep`, which outlives it.
void keep_one_over_exec(int keep) noexcept;

/// Closes every descriptor from 3 on except `keep`.
void close_all_but(int keep) noexcept;

namespace detail {

/// The same without close_range(), for kernels before 5.11: by what /proc/self/fd lists, or number by number.
void close_all_but_one_by_one(int keep, bool only_at_exec) noexcept;

}  // namespace detail
}  // namespace remuda::os
