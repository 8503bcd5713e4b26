// The archives with which cereal writes to a wire_writer and reads from a wire_reader.
//
// They are binary, without names and versions of their own, and differ from cereal's in what a hostile writer could
// use: no size is believed that the bytes left cannot hold, nothing is allocated ahead of what was read, and nesting is
// bounded.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "remuda/detail/code_ref.hpp"
#include "remuda/detail/remote_exception.hpp"
#include "remuda/detail/wire_buffer.hpp"
#include "remuda/detail/wire_form.hpp"

namespace remuda::detail {

/// How much stack the nesting of one value may take. Deeper values are refused on both sides, before the stack ends.
inline constexpr std::ptrdiff_t nesting_stack = std::ptrdiff_t{512} * 1024;

/// Where the stack is now. A local variable's address will not do: AddressSanitizer moves those elsewhere.
inline std::uintptr_t stack_now() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

class nesting {
 public:
  void check() const {
    const auto used = static_cast<std::ptrdiff_t>(top_ - stack_now());
    if (used > nesting_stack) throw serialization_error("the value is nested too deeply to travel");
  }

 private:
  std::uintptr_t top_ = stack_now();
};

class wire_output : public cereal::OutputArchive<wire_output, cereal::AllowEmptyClassElision> {
 public:
  explicit wire_output(wire_writer& to) : OutputArchive(this), to_(to) {}

  void write(const void* from, std::size_t n) { to_.write(from, n); }
  [[nodiscard]] std::size_t size() const { return to_.size(); }
  [[nodiscard]] wire_writer& writer() { return to_; }
  void check_nesting() const { nesting_.check(); }

 private:
  wire_writer& to_;
  nesting nesting_;
};

class wire_input : public cereal::InputArchive<wire_input, cereal::AllowEmptyClassElision> {
 public:
  explicit wire_input(wire_reader& from) : InputArchive(this), from_(from) {}

  void read(void* to, std::size_t n) { from_.read(to, n); }
  [[nodiscard]] std::size_t left() const { return from_.left(); }
  [[nodiscard]] wire_reader& reader() { return from_; }
  void check_nesting() const { nesting_.check(); }

 private:
  wire_reader& from_;
  nesting nesting_;
};

}  // namespace remuda::detail

CEREAL_REGISTER_ARCHIVE(remuda::detail::wire_output)
CEREAL_REGISTER_ARCHIVE(remuda::detail::wire_input)
CEREAL_SETUP_ARCHIVE_TRAITS(remuda::detail::wire_input, remuda::detail::wire_output)

namespace cereal {

// cereal has a function for every pointer, whose purpose is to fail.
template <class R, class... A>
struct specialize<remuda::detail::wire_output, R (*)(A...), specialization::non_member_load_save> {};
template <class R, class... A>
struct specialize<remuda::detail::wire_input, R (*)(A...), specialization::non_member_load_save> {};
template <class R, class... A>
struct specialize<remuda::detail::wire_output, R (*)(A...) noexcept, specialization::non_member_load_save> {};
template <class R, class... A>
struct specialize<remuda::detail::wire_input, R (*)(A...) noexcept, specialization::non_member_load_save> {};

}  // namespace cereal

namespace remuda::detail {

template <class T>
void prologue(wire_output& ar, const T&) {
  if constexpr (!std::is_arithmetic_v<T>) ar.check_nesting();
}
template <class T>
void prologue(wire_input& ar, const T&) {
  if constexpr (!std::is_arithmetic_v<T>) ar.check_nesting();
}

/// Reads a plain value, which need not have a default constructor.
template <class T>
T read_plain(wire_reader& from) {
  if constexpr (std::default_initializable<T>) {
    T value;
    from.read(&value, sizeof value);
    return value;
  } else {
    std::array<std::byte, sizeof(T)> bytes;
    from.read(bytes.data(), bytes.size());
    return std::bit_cast<T>(bytes);
  }
}

/// Reads the number of elements of which each takes at least `each` bytes.
inline std::size_t read_count(wire_reader& from, std::size_t each) {
  const auto n = read_plain<std::uint64_t>(from);
  if (n > from.left() / each) throw serialization_error("an encoded container is larger than the bytes that are left");
  return static_cast<std::size_t>(n);
}

// Numbers and plain classes: their bytes. bool is read as a number, since other bits than 0 and 1 would not be a bool.

template <class T>
  requires std::is_arithmetic_v<T>
void save(wire_output& ar, const T& value) {
  ar.write(&value, sizeof value);
}
template <class T>
  requires std::is_arithmetic_v<T>
void load(wire_input& ar, T& value) {
  if constexpr (std::same_as<T, bool>) {
    value = read_plain<unsigned char>(ar.reader()) != 0;
  } else {
    ar.read(&value, sizeof value);
  }
}

// The archive comes first in the constraints, so that asking whether a class is plain does not ask itself.
template <class A, class T>
  requires std::same_as<A, wire_output> && plain_class<T> && plain<T>
void save(A& ar, const T& value) {
  ar.write(&value, sizeof value);
}
template <class A, class T>
  requires std::same_as<A, wire_input> && plain_class<T> && plain<T>
void load(A& ar, T& value) {
  ar.read(&value, sizeof value);
}

// What cereal wraps numbers into.

template <class T>
void serialize(wire_output& ar, cereal::NameValuePair<T>& pair) {
  ar(pair.value);
}
template <class T>
void serialize(wire_input& ar, cereal::NameValuePair<T>& pair) {
  ar(pair.value);
}
template <class T>
void serialize(wire_output& ar, cereal::SizeTag<T>& tag) {
  const auto n = static_cast<std::uint64_t>(tag.size);
  ar.write(&n, sizeof n);
}
template <class T>
void serialize(wire_input& ar, cereal::SizeTag<T>& tag) {
  tag.size = read_count(ar.reader(), 1);
}
template <class T>
void save(wire_output& ar, const cereal::BinaryData<T>& data) {
  ar.write(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void load(wire_input& ar, cereal::BinaryData<T>& data) {
  ar.read(data.data, static_cast<std::size_t>(data.size));
}

// Sequences. cereal's own functions make room for as many elements as the size says, before any is read.

template <class C>
void save_sequence(wire_output& ar, const C& c) {
  const auto n = static_cast<std::uint64_t>(c.size());
  ar.write(&n, sizeof n);
  for (const auto& element : c) {
    const std::size_t before = ar.size();
    ar(element);
    // Every element takes a byte, so that the bytes that are left bound the number of elements.
    if (ar.size() == before) ar.write("", 1);
  }
}

template <class C>
void load_sequence(wire_input& ar, C& c) {
  using element = typename C::value_type;
  std::size_t n = read_count(ar.reader(), 1);
  c.clear();
  if constexpr (requires { c.reserve(n); }) c.reserve(std::min(n, ar.left() / sizeof(element)));
  for (; n != 0; --n) {
    if constexpr (!std::default_initializable<element>) {
      c.push_back(read_plain<element>(ar.reader()));
    } else {
      const std::size_t before = ar.left();
      ar(c.emplace_back());
      if (ar.left() == before) (void)read_plain<unsigned char>(ar.reader());
    }
  }
}

template <class T, class A>
  requires(!std::same_as<T, bool>)
void save(wire_output& ar, const std::vector<T, A>& v) {
  if constexpr (plain<T>) {
    const auto n = static_cast<std::uint64_t>(v.size());
    ar.write(&n, sizeof n);
    ar.write(v.data(), v.size() * sizeof(T));
  } else {
    save_sequence(ar, v);
  }
}
template <class T, class A>
  requires(!std::same_as<T, bool>)
void load(wire_input& ar, std::vector<T, A>& v) {
  if constexpr (plain<T> && std::default_initializable<T>) {
    // In pieces, so that what resize() has cleared is still in the cache when it is written over.
    constexpr std::size_t piece = std::max<std::size_t>((std::size_t{32} << 10) / sizeof(T), 1);
    std::size_t left = read_count(ar.reader(), sizeof(T));
    v.clear();
    v.reserve(left);
    while (left != 0) {
      const std::size_t n = std::min(left, piece);
      v.resize(v.size() + n);
      ar.read(v.data() + v.size() - n, n * sizeof(T));
      left -= n;
    }
  } else {
    load_sequence(ar, v);
  }
}

template <class T, class A>
void save(wire_output& ar, const std::deque<T, A>& d) {
  save_sequence(ar, d);
}
template <class T, class A>
void load(wire_input& ar, std::deque<T, A>& d) {
  load_sequence(ar, d);
}
template <class T, class A>
void save(wire_output& ar, const std::list<T, A>& l) {
  save_sequence(ar, l);
}
template <class T, class A>
void load(wire_input& ar, std::list<T, A>& l) {
  load_sequence(ar, l);
}

template <class T, std::size_t N>
  requires plain<T>
void save(wire_output& ar, const std::array<T, N>& a) {
  ar.write(a.data(), N * sizeof(T));
}
template <class T, std::size_t N>
  requires plain<T>
void load(wire_input& ar, std::array<T, N>& a) {
  ar.read(a.data(), N * sizeof(T));
}

// cereal would turn the order of equal keys round.

template <class K, class T, class C, class A>
void load(wire_input& ar, std::multimap<K, T, C, A>& m) {
  m.clear();
  for (std::size_t n = read_count(ar.reader(), 1); n != 0; --n) {
    K key;
    T value;
    ar(cereal::make_map_item(key, value));
    m.emplace_hint(m.end(), std::move(key), std::move(value));
  }
}
template <class K, class C, class A>
void load(wire_input& ar, std::multiset<K, C, A>& s) {
  s.clear();
  for (std::size_t n = read_count(ar.reader(), 1); n != 0; --n) {
    K key;
    ar(key);
    s.emplace_hint(s.end(), std::move(key));
  }
}

// What cereal has no functions for.

/// Without an archive, which has tables to make and to destroy: most tasks are a pointer to a function.
template <function_pointer F>
void write_function(wire_writer& to, F function) {
  const code_ref ref = code_ref_of(function);
  to.write(&ref, sizeof ref);
}
template <function_pointer F>
F read_function(wire_reader& from) {
  const auto ref = read_plain<code_ref>(from);
  return ref == 0 ? nullptr : reinterpret_cast<F>(reinterpret_cast<std::uintptr_t>(resolve(ref)));
}
template <function_pointer F>
void save(wire_output& ar, const F& function) {
  write_function(ar.writer(), function);
}
template <function_pointer F>
void load(wire_input& ar, F& function) {
  function = read_function<F>(ar.reader());
}

template <std::same_as<std::exception_ptr> T>
void save(wire_output& ar, const T& exception) {
  write_exception(ar.writer(), exception);
}
template <std::same_as<std::exception_ptr> T>
void load(wire_input& ar, T& exception) {
  exception = read_exception(ar.reader());
}

template <std::same_as<std::error_code> T>
void save(wire_output& ar, const T& code) {
  write_error_code(ar.writer(), code);
}
template <std::same_as<std::error_code> T>
void load(wire_input& ar, T& code) {
  code = read_error_code(ar.reader());
}

template <std::same_as<std::filesystem::path> T>
void save(wire_output& ar, const T& path) {
  ar(path.native());
}
template <std::same_as<std::filesystem::path> T>
void load(wire_input& ar, T& path) {
  std::string text;
  ar(text);
  path = std::move(text);
}

template <class T>
inline constexpr bool never = false;

// cereal's shared_ptr would believe a hostile writer about the type of what is shared.
template <class T>
void save(wire_output&, const std::shared_ptr<T>&) {
  static_assert(never<T>, "remuda: a shared_ptr shares nothing with another process: pass the value, or a unique_ptr");
}
template <class T>
void load(wire_input&, std::shared_ptr<T>&) {}

}  // namespace remuda::detail
