// What a hostile worker writes into its memory, as bytes of a fuzzer's input choose it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "remuda/wire.hpp"
#include "runtime/proc/lane.hpp"
#include "tests/fuzz/watched_task.hpp"

namespace remuda::test {

constexpr std::uint64_t ring_capacity = 256;
constexpr std::size_t place_bytes = 4096;  ///< what an answer in the result area has for itself

class input {
 public:
  input(const std::uint8_t* at, std::size_t left) : at_(at), left_(left) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  template <class T>
  T number() {
    T value{};
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<T>(value | static_cast<T>(T{byte()} << (8 * i)));
    return value;
  }
  /// A number near one that matters in the segment.
  std::uint64_t place(const detail::segment_layout& layout) {
    const std::uint64_t known[] = {0,
                                   layout.results,
                                   layout.total,
                                   layout.arguments,
                                   layout.slots,
                                   detail::call_slot::inline_bytes,
                                   layout.total - layout.results,
                                   ~std::uint64_t{0},
                                   std::uint64_t{1} << 63,
                                   std::uint64_t{1} << 32};
    const unsigned which = byte();
    if (which < std::size(known)) return known[which];
    if (which < 128) return known[which % std::size(known)] + static_cast<std::uint64_t>(std::int64_t{byte()} - 128);
    return which < 192 ? byte() : number<std::uint64_t>();
  }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

/// The word that says so of this call.
inline std::uint32_t word(std::uint64_t position, detail::slot_state s) {
  return static_cast<std::uint32_t>(position / ring_capacity) << 3 | static_cast<std::uint32_t>(s);
}

/// Mostly of a call that is not received.
inline std::uint64_t some_position(detail::lane& l, input& in) {
  const unsigned ahead = in.byte();
  return ahead < 240 ? l.ring.tail() + ahead % 16 : l.ring.tail() + ahead - 256;
}

/// With the payload in the slot, or in a place of the slot's own.
inline void put(detail::lane& l, std::uint64_t position, detail::slot_kind kind, std::uint64_t id, const bytes& what) {
  detail::call_slot& slot = l.ring.at(position);
  const detail::segment_layout& layout = l.memory.layout();
  slot.kind = kind;
  slot.id = id;
  slot.size = std::min(what.size(), place_bytes);
  slot.where = what.size() <= detail::call_slot::inline_bytes ? 0 : layout.results + position % 16 * place_bytes;
  if (slot.size != 0) std::memcpy(slot.where == 0 ? slot.bytes : l.memory.base() + slot.where, what.data(), slot.size);
}

inline bytes some_error(input& in) {
  detail::vector_writer to;
  switch (in.byte() % 5) {
    case 0:
      detail::write_exception(to, std::make_exception_ptr(std::runtime_error("thrown in a task")));
      break;
    case 1:
      detail::write_exception(to, std::make_exception_ptr(worker_died(9, 1)));
      break;
    case 2:
      detail::write_exception(to, nullptr);
      break;
    case 3:
      detail::write_exception(to,
                              detail::with_nested(std::system_error(std::make_error_code(std::errc::io_error), "read"),
                                                  std::make_exception_ptr(broken_pool_error("forged"))));
      break;
    default:
      detail::write_exception(to, std::make_exception_ptr(timeout_error("forged")));
  }
  return to.take();
}

inline void scribble(detail::lane& l, input& in) {
  const detail::segment_layout& layout = l.memory.layout();
  std::uint64_t at = in.number<std::uint16_t>();
  switch (in.byte() % 3) {
    case 0:
      at %= sizeof(detail::segment_header);
      break;
    case 1:
      at = layout.slots + (l.ring.tail() % ring_capacity * sizeof(detail::call_slot) + at % 2048) %
                              (ring_capacity * sizeof(detail::call_slot));
      break;
    default:
      at = layout.arguments + at * 2;
  }
  const std::size_t n = in.byte() % 64;
  for (std::size_t i = 0; i < n && at + i < layout.total; ++i) l.memory.base()[at + i] = std::byte{in.byte()};
}

inline void set_word(detail::lane& l, input& in) {
  const std::uint64_t p = some_position(l, in);
  const unsigned what = in.byte();
  l.ring.at(p).word.store(
      what < 6     ? word(p, static_cast<detail::slot_state>(what))
      : what < 128 ? word(p + ring_capacity * (what % 4) - ring_capacity, static_cast<detail::slot_state>(what % 6))
                   : in.number<std::uint32_t>());
}

}  // namespace remuda::test
