// Where encoded values go to and come from: plain bytes, in the byte order and the sizes of this program.
//
// Both processes run the same binary, so nothing here describes itself. What the parent reads may have been written by
// a worker that has gone wrong, and may change while it is read: every byte is read once, and all bounds are private.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "remuda/detail/sync.hpp"
#include "remuda/error.hpp"

namespace remuda::detail {

class buffer_port;

/// Takes bytes, straight into the memory that the derived class has. One thread at a time.
class wire_writer {
 public:
  wire_writer(const wire_writer&) = delete;
  wire_writer& operator=(const wire_writer&) = delete;

  /// Appends n bytes. Throws serialization_error when they are more than may travel, std::bad_alloc without memory;
  /// what was written before stays.
  void write(const void* from, std::size_t n) {
    if (n > room()) make_room(n);
    if (n != 0) std::memcpy(at_, from, n);  // from may be null where there is nothing to write
    at_ += n;
  }

  /// Bytes written so far.
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }

  /// Where shared buffers are known; null where none travel.
  [[nodiscard]] buffer_port* buffers() const { return buffers_; }

 protected:
  wire_writer(std::byte* begin, std::byte* end, buffer_port* buffers = nullptr)
      : begin_(begin), at_(begin), end_(end), buffers_(buffers) {}
  ~wire_writer() = default;

  [[nodiscard]] std::size_t room() const { return static_cast<std::size_t>(end_ - at_); }

  /// On return at least n bytes are free between at_ and end_. May move begin_, and keeps what was written. Throws
  /// serialization_error at the limit of what may travel, or std::bad_alloc.
  virtual void make_room(std::size_t n) = 0;

  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;

 private:
  buffer_port* buffers_;
};

/// Gives bytes, from memory that another process may change at any time. One thread at a time.
class wire_reader {
 public:
  wire_reader(const std::byte* begin, std::size_t n, buffer_port* buffers = nullptr)
      : at_(begin), left_(n), buffers_(buffers) {}

  /// The next n bytes. Throws serialization_error, and takes none, where fewer are left.
  void read(void* to, std::size_t n) {
    if (n > left_) throw serialization_error("an encoded value ends too early");
    if (n != 0) std::memcpy(to, at_, n);
    std_sync::compiler_fence();  // lest the compiler loads it once more after it was checked
    at_ += n;
    left_ -= n;
  }

  /// Bytes that have not been read yet.
  [[nodiscard]] std::size_t left() const { return left_; }

  /// As wire_writer::buffers().
  [[nodiscard]] buffer_port* buffers() const { return buffers_; }

 private:
  const std::byte* at_;
  std::size_t left_;
  buffer_port* buffers_;
};

/// Writes into memory of its own, for what is not encoded in place.
class vector_writer final : public wire_writer {
 public:
  vector_writer() : wire_writer(nullptr, nullptr) {}

  /// What was written; the writer is empty afterwards.
  [[nodiscard]] std::vector<std::byte> take() {
    bytes_.resize(size());
    begin_ = at_ = end_ = nullptr;
    return std::exchange(bytes_, {});
  }

 private:
  void make_room(std::size_t n) override {
    const std::size_t written = size();
    bytes_.resize(std::max(2 * bytes_.size(), written + n));
    begin_ = bytes_.data();
    at_ = begin_ + written;
    end_ = begin_ + bytes_.size();
  }

  std::vector<std::byte> bytes_;
};

}  // namespace remuda::detail
