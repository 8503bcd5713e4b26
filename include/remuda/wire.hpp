// How a value gets from one process to another.
//
// What travels: numbers, enumerations, trivially copyable classes (their bytes), strings, vector, array, deque, list,
// set, map and their unordered kin, tuple, pair, optional, variant, chrono, unique_ptr, filesystem::path, error_code,
// exception_ptr, pointers to functions, and every class that has cereal functions (https://uscilab.github.io/cereal): a
// member or free `serialize`, or `save` and `load`, or `save_minimal` and `load_minimal`. Functions and function
// objects travel as values do; of a lambda without captures nothing needs to be sent.
//
// What does not is refused when the program is compiled, with the reason. One thing the compiler cannot see: an address
// inside a trivially copyable class, for example what a lambda has captured by reference. It arrives unchanged, and
// means nothing there.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "remuda/detail/code_ref.hpp"
#include "remuda/detail/remote_exception.hpp"
#include "remuda/detail/wire_archive.hpp"
#include "remuda/detail/wire_buffer.hpp"
#include "remuda/detail/wire_form.hpp"
#include "remuda/error.hpp"

namespace remuda {
namespace detail {

/// Encodes the value. Throws serialization_error, std::bad_alloc, and whatever the value's own cereal functions throw;
/// what was written until then stays.
template <class T>
void wire_write(wire_writer& to, const T& value) {
  require_value<T>();
  if constexpr (!travels<T> || stateless<T>) {
    return;  // the reason has been given; the reader makes another
  } else if constexpr (plain<T> || std::same_as<T, bool>) {
    to.write(&value, sizeof value);
  } else if constexpr (function_pointer<T>) {
    write_function(to, value);
  } else {
    wire_output archive(to);
    archive(value);
  }
}

/// Decodes a value that wire_write encoded. Reads any bytes without harm, but plain classes are not checked: they get
/// the bytes as they are. Throws serialization_error if these are no T, and whatever T's own cereal functions throw.
template <class T>
[[nodiscard]] T wire_read(wire_reader& from) {
  require_value<T>();
  if constexpr (!travels<T>) {
    throw serialization_error("not a type that travels");
  } else if constexpr (stateless<T>) {
    if constexpr (std::default_initializable<T>) {
      return T{};
    } else {
      return std::bit_cast<T>(std::byte{});
    }
  } else if constexpr (plain<T>) {
    return read_plain<T>(from);
  } else if constexpr (function_pointer<T>) {
    return read_function<T>(from);
  } else {
    try {
      wire_input archive(from);
      T value{};
      archive(value);
      return value;
    } catch (const cereal::Exception& e) {
      throw serialization_error(e.what());
    }
  }
}

template <class E>
concept made_of_text =
    (std::constructible_from<E, const char*> || std::constructible_from<E, std::string>)&&requires(const E& e) {
      { e.what() } -> std::convertible_to<const char*>;
    };

template <class E>
E exception_of_text(std::string text) {
  if constexpr (std::constructible_from<E, std::string>) {
    return E(std::move(text));
  } else {
    return E(text.c_str());
  }
}

template <class E>
void write_current_exception(wire_writer& to) {
  try {
    throw;
  } catch (const E& e) {
    if constexpr (travels<E>) {
      wire_write<E>(to, e);
    } else {
      wire_write<std::string>(to, e.what());
    }
  }
}

template <class E>
std::exception_ptr read_exception_as(wire_reader& from, const std::exception_ptr& nested) {
  if constexpr (travels<E>) {
    return with_nested(wire_read<E>(from), nested);
  } else {
    return with_nested(exception_of_text<E>(wire_read<std::string>(from)), nested);
  }
}

}  // namespace detail

template <class E>
void register_exception() {
  static_assert(std::is_class_v<E> && (travels<E> || detail::made_of_text<E>),
                "remuda: an exception is registered that can neither travel (it has no cereal functions and is not "
                "trivially copyable) nor be made from the text of its what(): add a constructor from std::string");
  detail::add_exception_form({&typeid(E), &detail::write_current_exception<E>, &detail::read_exception_as<E>});
}

}  // namespace remuda
