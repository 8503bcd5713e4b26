// The way into a program that was started as the zygote of a process pool.
#pragma once

namespace remuda {

/// Call it first in main() when the program is not linked by the CMake target remuda::remuda or by the flags of
/// pkg-config, which do the same without a line of code. In a process that was started as a pool's zygote it does not
/// return: main() goes no further there. In any other it notes that main() has it, and returns at once.
/// Never throws, never blocks; may be called any number of times.
void process_entry(int argc, char** argv) noexcept;

namespace detail {

/// True when a zygote that this program starts is sure to be caught: the hook before main() is linked into the
/// executable, or process_entry() was called in this process.
bool entry_is_linked() noexcept;

}  // namespace detail
}  // namespace remuda
