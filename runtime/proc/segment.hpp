// The memory that the parent shares with one worker.
//
//   header | slots | argument area | result area           each from a page of its own
//
// The areas are large and empty: memory comes with the first touch, and is asked for before that (payload_area), so
// that a machine without memory gives an error and not a SIGBUS. The file's size is sealed, so no worker can take away
// pages that the parent has mapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/lockfree/call_ring.hpp"
#include "runtime/lockfree/doorbell.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/proc/call_slot.hpp"

namespace remuda::detail {

struct segment_header {
  // rung by the parent
  alignas(cache_line) doorbell<std_sync> worker;  ///< the worker sleeps until a call comes, or the end
  doorbell<std_sync> room;                        ///< the worker sleeps until a result is received and its room free
  // rung by the worker
  alignas(cache_line) doorbell<std_sync> getters;  ///< threads of the parent that wait for one of these results
  doorbell<std_sync> supervisor;                   ///< the pool's own thread; it sleeps on an eventfd
  // written by the parent
  alignas(cache_line) atomic<std::uint64_t> received;  ///< results taken: the ring's tail, for who trusts the parent
  alignas(cache_line) atomic<std::uint32_t> quit;      ///< 1: end when there is nothing left to do
  // written by the worker
  atomic<std::uint32_t> retired;  ///< 1: it ends by plan, for its number of tasks or its size
};

struct segment_layout {
  std::uint32_t capacity;  ///< of the ring
  std::size_t slots;       ///< where they begin, in bytes from the segment's start
  std::size_t arguments;
  std::size_t results;
  std::size_t total;

  segment_layout(std::uint32_t ring_capacity, std::size_t argument_bytes, std::size_t result_bytes);
};

/// A mapping. It keeps its range of addresses for its whole life, also while nothing, or another file, is mapped there:
/// a thread that still looks at an address finds zeros, and never somebody else's memory.
class segment {
 public:
  /// Reserves addresses only. Throws std::system_error.
  explicit segment(const segment_layout& layout);
  ~segment();
  segment(const segment&) = delete;
  segment& operator=(const segment&) = delete;

  /// Maps a segment's file in place of what is there. Throws std::system_error.
  void map(int fd);
  /// Puts zeros there. Never throws.
  void unmap() noexcept;

  std::byte* base() const { return base_; }
  segment_header& header() const { return *reinterpret_cast<segment_header*>(base_); }
  call_slot* slots() const { return reinterpret_cast<call_slot*>(base_ + layout_.slots); }
  const segment_layout& layout() const { return layout_; }

 private:
  bool replace(int protection, int flags, int fd) noexcept;

  segment_layout layout_;
  std::byte* base_;
};

}  // namespace remuda::detail
