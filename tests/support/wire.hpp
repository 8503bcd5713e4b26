// Values as bytes and back, without a second process.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "remuda/wire.hpp"

namespace remuda::test {

using bytes = std::vector<std::byte>;

// Not inlined: a test that names twenty types would become one function that takes minutes to compile with sanitizers.

template <class T>
[[gnu::noinline]] bytes encoded(const T& value) {
  detail::vector_writer to;
  detail::wire_write(to, value);
  return to.take();
}

/// Decodes from a block of exactly that size, so that AddressSanitizer sees a read past its end.
template <class T>
[[gnu::noinline]] T decoded(std::span<const std::byte> from) {
  const std::unique_ptr<std::byte[]> exact(new std::byte[from.size()]);
  if (!from.empty()) std::memcpy(exact.get(), from.data(), from.size());
  detail::wire_reader reader(exact.get(), from.size());
  return detail::wire_read<T>(reader);
}

/// There and back. What is left over on the way is a fault too.
template <class T>
[[gnu::noinline]] T round_trip(const T& value) {
  const bytes all = encoded(value);
  detail::wire_reader reader(all.data(), all.size());
  T back = detail::wire_read<T>(reader);
  if (reader.left() != 0) throw std::logic_error("the decoder left bytes over");
  return back;
}

}  // namespace remuda::test
