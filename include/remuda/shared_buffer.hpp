// shared_buffer: an array in memory that a process pool shares with its workers. It is passed to tasks, and back, with
// no copy, whatever its size.
//
//   auto pixels = pool.make_buffer<float>(1'000'000);
//   pool.submit([](remuda::shared_buffer<float> p) { for (float& x : p) x *= 2; }, pixels).get();
//   use(pixels[0]);
//
// The handle is passed by value; both processes see the same memory. A task may give back what it was given. A worker
// cannot make one: make it here, and pass it. Nothing but the end of a task orders what the two sides do: what a worker
// wrote in a task is seen by whoever has its result.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "remuda/detail/shared_block.hpp"
#include "remuda/detail/wire_archive.hpp"
#include "remuda/detail/wire_form.hpp"
#include "remuda/error.hpp"

namespace remuda {

namespace detail {
struct buffer_access;
}

/// A handle; copies share the memory, which lives until the last handle is gone, also beyond the pool. A task that was
/// given one holds a handle until it has ended and its worker has let go, however it ends. Handles are as safe as
/// std::shared_ptr: each by one thread at a time. Nothing guards the elements against several at once.
///
/// In a worker a handle is good until its task ends: what is kept beyond that may be somebody else's memory then.
/// A task that goes wrong can write anywhere into the pool's buffers, as they are one memory; nothing else of this
/// process is in it.
template <class T>
class shared_buffer {
  static_assert(std::is_object_v<T> && std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
                "remuda: the elements of a shared_buffer are seen by several processes, so they must be trivially "
                "copyable, and no pointers");
  static_assert(!std::is_volatile_v<T> && alignof(T) <= 4096,
                "remuda: the elements of a shared_buffer are not volatile, and aligned to a page at most");

 public:
  using element_type = T;
  using value_type = std::remove_const_t<T>;
  using size_type = std::size_t;
  using iterator = T*;

  /// No memory, size 0.
  shared_buffer() noexcept = default;
  /// The same memory, read only.
  template <class U>
    requires(std::is_const_v<T> && std::is_same_v<U, value_type>)
  shared_buffer(const shared_buffer<U>& other) noexcept
      : block_(other.block_), data_(other.data_), size_(other.size_) {}

  /// Aligned to a page; null when size() is 0.
  T* data() const noexcept { return data_; }
  size_type size() const noexcept { return size_; }
  size_type size_bytes() const noexcept { return size_ * sizeof(T); }
  bool empty() const noexcept { return size_ == 0; }
  iterator begin() const noexcept { return data_; }
  iterator end() const noexcept { return data_ + size_; }
  /// REQUIRES: i < size().
  T& operator[](size_type i) const noexcept { return data_[i]; }
  std::span<T> span() const noexcept { return {data_, size_}; }

  /// Lets go of the memory; size 0 then. Of the last handle: gives the pages back to the system, on this thread.
  void reset() noexcept { *this = shared_buffer(); }

  /// The same memory, not equal elements.
  friend bool operator==(const shared_buffer& a, const shared_buffer& b) noexcept { return a.block_ == b.block_; }

  shared_buffer(const shared_buffer&) noexcept = default;
  shared_buffer& operator=(const shared_buffer&) noexcept = default;
  shared_buffer(shared_buffer&& other) noexcept
      : block_(std::move(other.block_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  shared_buffer& operator=(shared_buffer&& other) noexcept {
    block_ = std::move(other.block_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~shared_buffer() = default;

 private:
  friend struct detail::buffer_access;
  template <class>
  friend class shared_buffer;
  explicit shared_buffer(detail::block_ptr block) : block_(std::move(block)) {
    if (block_ == nullptr) return;
    data_ = reinterpret_cast<T*>(block_->data);
    size_ = block_->bytes / sizeof(T);
  }

  detail::block_ptr block_;
  T* data_ = nullptr;
  size_type size_ = 0;
};

namespace detail {

struct buffer_access {
  template <class T>
  static const block_ptr& block(const shared_buffer<T>& b) noexcept {
    return b.block_;
  }
  template <class T>
  static shared_buffer<T> make(block_ptr block) {
    return shared_buffer<T>(std::move(block));
  }
  /// Throws std::bad_alloc for more than can be counted.
  template <class T>
  static std::size_t bytes_of(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return count * sizeof(T);
  }
};

template <class T>
struct form<shared_buffer<T>> : fixed_form<verdict::travels> {};

template <class T>
void save(wire_output& ar, const shared_buffer<T>& buffer) {
  write_block(ar.writer(), buffer_access::block(buffer));
}
template <class T>
void load(wire_input& ar, shared_buffer<T>& buffer) {
  block_ptr block = read_block(ar.reader());
  if (block != nullptr && block->bytes % sizeof(T) != 0) {
    throw serialization_error("a shared_buffer comes back as one of another type");
  }
  buffer = buffer_access::make<T>(std::move(block));
}

}  // namespace detail
}  // namespace remuda
