// Counts the calls to the heap of the whole program, whoever makes them: include it in one source file of a program.
//
// It stands in front of malloc rather than operator new, so that a library with an allocator of its own is seen each
// time that it fetches memory. What such an allocator recycles is not counted, for anybody.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "remuda/detail/sync.hpp"

namespace bench {

inline remuda::detail::atomic<std::uint64_t> heap_calls{0};

/// Calls to malloc, calloc, realloc and the aligned ones, by all threads so far.
inline std::uint64_t heap_calls_so_far() { return heap_calls.load(remuda::detail::std_sync::relaxed); }

inline void count_heap_call() { heap_calls.fetch_add(1, remuda::detail::std_sync::relaxed); }

}  // namespace bench

// NOLINTBEGIN(bugprone-reserved-identifier): the names under which glibc offers its heap to those who replace malloc
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
  bench::count_heap_call();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  bench::count_heap_call();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) noexcept {
  bench::count_heap_call();
  return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  bench::count_heap_call();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  *out = memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
}
// NOLINTEND(bugprone-reserved-identifier)
