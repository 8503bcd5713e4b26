#include "runtime/proc/payload_area.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

namespace remuda::detail {
namespace {

// Below this the pages are kept; above it they are given back when the area runs empty.
constexpr std::size_t warm_bytes = std::size_t{4} << 20;
constexpr std::size_t kept_bytes = std::size_t{64} << 20;
constexpr std::size_t commit_step = std::size_t{256} << 10;
constexpr std::size_t alignment = 64;

std::size_t aligned(std::size_t n) { return (n + alignment - 1) / alignment * alignment; }

}  // namespace

payload_area::payload_area(int fd, std::byte* base, std::size_t begin, std::size_t end, std::size_t most)
    : fd_(fd), base_(base), begin_(begin), end_(end), next_(begin), committed_(begin), ring_(most) {}

payload_area::extent payload_area::find(std::size_t n) const {
  if (last_ - first_ == ring_.size()) return {};
  if (empty()) return end_ - begin_ >= n ? extent{begin_, end_} : extent{};
  const std::size_t oldest = ring(first_).room.begin;
  if (next_ <= oldest) return oldest - next_ >= n ? extent{next_, oldest} : extent{};
  const extent ahead{next_, end_};
  const extent behind{begin_, oldest};
  const bool go_back = next_ - begin_ >= warm_bytes && behind.size() >= std::max(n, warm_bytes / 2);
  if (!go_back && ahead.size() >= n) return ahead;
  if (behind.size() >= n) return behind;
  return ahead.size() >= n ? ahead : extent{};
}

void payload_area::commit(std::size_t end) {
  if (end <= committed_) return;
  const std::size_t up_to = std::min(end_, std::max(end, committed_ + commit_step));
  while (fallocate(fd_, 0, static_cast<off_t>(committed_), static_cast<off_t>(up_to - committed_)) != 0) {
    if (errno != EINTR) throw std::bad_alloc();
  }
  committed_ = up_to;
}

void payload_area::take(std::uint64_t position, const extent& room) {
  ring(last_++) = {position, {room.begin, std::min(aligned(room.end), end_)}};
  next_ = std::min(aligned(room.end), end_);
}

void payload_area::free_before(std::uint64_t position) {
  if (empty()) return;
  while (first_ != last_ && ring(first_).position < position) ++first_;
  if (empty()) next_ = begin_;
}

void payload_area::trim() {
  if (!empty() || committed_ - begin_ <= kept_bytes) return;
  const std::size_t from = begin_ + warm_bytes;
  if (fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                static_cast<off_t>(committed_ - from)) == 0) {
    committed_ = from;
  }
}

std::size_t payload_writer::keep(std::uint64_t position) {
  if (!in_area_) return 0;
  area_.take(position, {room_.begin, room_.begin + size()});
  return room_.begin;
}

void payload_writer::start_over(std::byte* inline_begin, std::size_t inline_bytes) {
  in_area_ = false;
  begin_ = at_ = inline_begin;
  end_ = inline_begin + inline_bytes;
}

void payload_writer::make_room(std::size_t n) {
  const std::size_t written = size();
  if (n > area_.capacity() - std::min(written, area_.capacity())) {
    throw serialization_error("a value of more than " + std::to_string(area_.capacity()) +
                              " encoded bytes does not travel: see max_payload of the pool's options");
  }
  if (in_area_ && room_.begin + written + n <= room_.end) {
    // Memory in growing steps, so that a value that comes in small parts asks seldom.
    area_.commit(std::min(room_.end, room_.begin + std::max(written + n, written + written / 2)));
    end_ = area_.at(std::min(room_.end, room_.begin + std::max(written + n, written + written / 2)));
    return;
  }
  payload_area::extent room = area_.find(written + n);
  while (room.size() == 0) {
    if (area_.empty()) {  // then it does not fit at all
      throw serialization_error("a value of more than " + std::to_string(area_.capacity()) +
                                " encoded bytes does not travel: see max_payload of the pool's options");
    }
    wait_for_room_(context_);
    room = area_.find(written + n);
  }
  const std::size_t wanted = std::min(room.end, room.begin + std::max(written + n, 2 * written));
  area_.commit(wanted);
  std::byte* const to = area_.at(room.begin);
  std::memmove(to, begin_, written);
  room_ = room;
  in_area_ = true;
  begin_ = to;
  at_ = to + written;
  end_ = area_.at(wanted);
}

}  // namespace remuda::detail
