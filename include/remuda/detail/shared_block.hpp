// How a shared_buffer travels: as the place of its block, never as bytes. The protocol is in
// runtime/proc/shared_heap.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "remuda/detail/wire_buffer.hpp"
#include "remuda/error.hpp"

namespace remuda::detail {

/// A piece of a pool's shared heap, as this process sees it. In the parent it goes back to the heap with its last
/// pointer; in a worker it is only looked at.
struct shared_block {
  std::uint64_t pool;  ///< that it was allocated from; 0 in a worker: the pool whose task this is
  std::byte* data;     ///< on a page's boundary
  std::size_t offset;  ///< from the heap's start
  std::size_t bytes;   ///< as asked for
};
using block_ptr = std::shared_ptr<const shared_block>;

/// The blocks that a task was given: they live until it has ended, and are the only ones that it may give back.
using given_blocks = std::vector<block_ptr>;

/// What a process knows of the blocks that are written or read for one task.
class buffer_port {
 public:
  buffer_port(const buffer_port&) = delete;
  buffer_port& operator=(const buffer_port&) = delete;

  struct place {
    std::uint64_t offset;
    std::uint64_t bytes;
  };
  /// The block is about to be sent. Throws serialization_error if it may not be.
  virtual void send(const block_ptr& block) = 0;
  /// The block that the other side names. Throws serialization_error if it may not name that one.
  virtual block_ptr find(const place& at) = 0;

 protected:
  buffer_port() = default;
  ~buffer_port() = default;
};

/// Writes where the block is; null is written too. Throws serialization_error.
void write_block(wire_writer& to, const block_ptr& block);
/// The block that write_block wrote. Throws serialization_error where the bytes name none that may be had here.
block_ptr read_block(wire_reader& from);

}  // namespace remuda::detail
