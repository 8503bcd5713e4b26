// Room for payloads that do not fit into their slot: a part of the segment that one side writes, oldest freed first.
//
// All bookkeeping is private to the writing side. Payloads belong to calls, and calls end in order, so the area is a
// ring of extents; it starts over near its beginning, where the pages are warm, as soon as there is room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "remuda/detail/wire_buffer.hpp"

namespace remuda::detail {

class payload_area {
 public:
  /// The bytes [begin, end) of the segment in `fd`, mapped at `base`. `most` payloads at a time.
  payload_area(int fd, std::byte* base, std::size_t begin, std::size_t end, std::size_t most);

  struct extent {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t size() const { return end - begin; }
  };

  std::size_t capacity() const { return end_ - begin_; }
  bool empty() const { return first_ == last_; }

  /// Free room in one piece of at least `n` bytes, as large as there is; empty when there is none now, or when there
  /// are so many payloads as there may be.
  extent find(std::size_t n) const;
  /// Makes sure that there is memory up to `end`. Throws std::bad_alloc when the machine has none.
  void commit(std::size_t end);
  /// The call at `position` owns this room now. REQUIRES: it is part of what find() gave; positions ascend.
  void take(std::uint64_t position, const extent& room);
  /// The calls before `position` have ended.
  void free_before(std::uint64_t position);
  /// Gives memory back if the area is empty and has much of it. REQUIRES: no payload is being written into it.
  void trim();

  std::byte* at(std::size_t offset) const { return base_ + offset; }

 private:
  struct owned {
    std::uint64_t position;
    extent room;
  };

  owned& ring(std::size_t i) { return ring_[i % ring_.size()]; }
  const owned& ring(std::size_t i) const { return ring_[i % ring_.size()]; }

  int fd_;
  std::byte* base_;
  std::size_t begin_;
  std::size_t end_;
  std::size_t next_;       // where the newest extent ends
  std::size_t committed_;  // memory is there up to here
  std::vector<owned> ring_;
  std::size_t first_ = 0;  // oldest
  std::size_t last_ = 0;   // after the newest
};

/// There is no room now, but there will be when earlier payloads are gone.
struct no_room_now {};

/// Writes a payload: into the slot while it fits there, else into an area.
class payload_writer final : public wire_writer {
 public:
  /// `wait_for_room` is called when the area has no room at this moment but earlier payloads are in it: it returns when
  /// some may be gone, after free_before(), or throws.
  payload_writer(std::byte* inline_begin, std::size_t inline_bytes, payload_area& area, void (*wait_for_room)(void*),
                 void* context, buffer_port* buffers = nullptr)
      : wire_writer(inline_begin, inline_begin + inline_bytes, buffers),
        area_(area),
        wait_for_room_(wait_for_room),
        context_(context) {}

  /// What was written belongs to the call at `position`. Returns where it lies: 0, in the slot.
  std::size_t keep(std::uint64_t position);
  /// Forgets what was written so far, and starts again in the slot.
  void start_over(std::byte* inline_begin, std::size_t inline_bytes);

 private:
  void make_room(std::size_t n) override;

  payload_area& area_;
  void (*wait_for_room_)(void*);
  void* context_;
  bool in_area_ = false;
  payload_area::extent room_;
};

}  // namespace remuda::detail
