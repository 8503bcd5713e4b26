// Memory for the small, short-lived blocks of a pool: a task with its closure and future state, a callback.
//
// Each thread takes blocks from its own free lists, with no atomic operation; any thread may free them. The lists are
// in the library and not in this header, so that a program and a library built with different sanitizers agree on them.
#pragma once

#include <cstddef>

namespace remuda::detail {

/// What allocate() aligns every block to, whatever its size.
inline constexpr std::size_t block_alignment = 64;

/// The largest request served from the free lists; a larger one goes to operator new.
inline constexpr std::size_t largest_block = 1024;

/// A block of at least `bytes` bytes (0 is allowed). Any thread. Wait-free while the thread's lists have a block, else
/// it may call operator new. Throws std::bad_alloc.
[[nodiscard]] void* allocate(std::size_t bytes);

/// Gives back what allocate(bytes) returned, on any thread, also after that thread's thread_local objects are gone.
/// Lock-free. Calls operator delete only for blocks above largest_block.
void deallocate(void* p, std::size_t bytes) noexcept;

}  // namespace remuda::detail
