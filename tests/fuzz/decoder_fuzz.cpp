// P31: whatever a worker leaves in its memory, decoding it gives a value or a serialization_error. The first byte
// chooses the type. What is a value can be sent on, and then always looks the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "remuda/wire.hpp"

namespace {

using remuda::serialization_error;
using remuda::detail::vector_writer;
using remuda::detail::wire_read;
using remuda::detail::wire_reader;
using remuda::detail::wire_write;

struct point {
  std::int32_t x, y;
};

struct tree {
  std::string name;
  std::vector<tree> children;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(name, children);
  }
};

struct chain {
  std::unique_ptr<chain> next;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(next);
  }
};

struct own_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
const bool registered = (remuda::register_exception<own_error>(), true);

template <class T>
std::vector<std::byte> encoded(const T& value) {
  vector_writer to;
  wire_write(to, value);
  return to.take();
}

// Sends the value on; `stable`: its encoding depends on nothing but the value.
template <class T>
void send_on(const T& value, bool stable) {
  const std::vector<std::byte> once = encoded(value);
  wire_reader from(once.data(), once.size());
  const std::vector<std::byte> twice = encoded(wire_read<T>(from));
  if (from.left() != 0 || once.size() != twice.size() || (stable && once != twice)) std::abort();
}

template <class T, bool stable = true>
void decode(wire_reader& from) {
  send_on(wire_read<T>(from), stable);
}

void decode_exception(wire_reader& from) {
  const std::exception_ptr e = remuda::detail::read_exception(from);
  if (e == nullptr) return;
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& caught) {
    if (caught.what() == nullptr) std::abort();
  }
  // Its texts may change on the way, as in an error code's text that the sender has made up.
  const std::vector<std::byte> once = encoded(e);
  wire_reader again(once.data(), once.size());
  if (wire_read<std::exception_ptr>(again) == nullptr || again.left() != 0) std::abort();
}

// A pointer to a function may come from any bytes; it is resolved to code, or refused.
void decode_function(wire_reader& from) {
  try {
    send_on(wire_read<int (*)(int)>(from), true);
  } catch (const remuda::error&) {
  }
}

constexpr void (*decoders[])(wire_reader&) = {
    decode_exception,
    decode_function,
    decode<int>,
    decode<bool>,
    decode<std::string>,
    decode<std::vector<point>>,
    decode<std::vector<std::string>>,
    decode<std::vector<bool>>,
    decode<std::deque<std::pair<int, std::string>>>,
    decode<std::list<std::vector<std::vector<char>>>>,
    decode<std::map<std::string, std::vector<int>>>,
    decode<std::multimap<int, std::string>>,
    decode<std::set<std::string>>,
    decode<std::unordered_map<std::string, int>, false>,
    decode<std::unordered_multiset<int>, false>,
    decode<std::tuple<int, std::string, std::optional<point>>>,
    decode<std::variant<std::monostate, int, std::string, std::vector<double>>>,
    decode<std::unique_ptr<std::string>>,
    decode<std::array<std::string, 3>>,
    decode<std::u32string>,
    decode<std::filesystem::path>,
    decode<std::error_code>,
    decode<std::chrono::nanoseconds>,
    decode<tree>,
    decode<chain>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  wire_reader from(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  try {
    decoders[data[0] % std::size(decoders)](from);
  } catch (const serialization_error&) {
    // as it should be
  }
  return 0;
}
