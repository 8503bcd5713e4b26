// What lies in a slot of a worker's ring: a call on its way there, its result on its way back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "remuda/detail/code_ref.hpp"
#include "remuda/detail/sync.hpp"

namespace remuda::detail {

enum class slot_kind : std::uint32_t {
  // to the worker
  call = 1,
  module = 2,  ///< a module's number, path and build id, for calls that follow
  // back
  value = 11,
  error = 12,    ///< an encoded exception
  skipped = 13,  ///< the call was withdrawn
};

/// Two cache lines, the pair that the processor fetches together.
struct alignas(2 * cache_line) call_slot {
  static constexpr std::size_t inline_bytes = 80;

  atomic<std::uint32_t> word;
  slot_kind kind;
  std::uint64_t id;         ///< of the call; comes back as it is
  code_ref function;        ///< a remote_function
  std::uint64_t where;      ///< of the payload: bytes from the segment's start; 0: in `bytes`
  std::uint64_t size;       ///< of the payload
  std::int64_t started_at;  ///< 0: not wanted; -1: wanted; else when the worker began, steady_clock in ns
  std::byte bytes[inline_bytes];
};
static_assert(sizeof(call_slot) == 2 * cache_line);

}  // namespace remuda::detail
