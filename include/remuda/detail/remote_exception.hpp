// How an exception gets from a worker to the parent.
//
// Types of the standard library and of remuda/error.hpp come back as themselves, with code, text and paths. So do types
// that were given to register_exception(). Any other comes back as remote_error. The chain of std::nested_exception is
// rebuilt in every case.
#pragma once

#include <exception>
#include <system_error>
#include <typeinfo>
#include <utility>

#include "remuda/detail/wire_buffer.hpp"

namespace remuda {

/// Lets exceptions of type E come back from a worker process as E, instead of as remote_error. E is a type that
/// travels, or that is constructible from what() as const char* or std::string. Call it in both processes, which the
/// initialiser of a static variable does: `static const bool known = (remuda::register_exception<my_error>(), true);`.
/// Any thread; lock-free; harmless when repeated. Defined in remuda/wire.hpp.
template <class E>
void register_exception();

namespace detail {

/// Encodes the exception and those nested in it. Any thread. An exception that cannot be encoded as itself is encoded
/// as a remote_error, so that this throws only what the writer does: when there is no room for a short text either.
void write_exception(wire_writer& to, const std::exception_ptr& exception);

/// The exception that was encoded; null if that was null. Any thread. Throws serialization_error if the bytes are not
/// those of an exception, and what the constructor of a registered type throws.
[[nodiscard]] std::exception_ptr read_exception(wire_reader& from);

/// How one type of exception travels.
struct exception_form {
  const std::type_info* type;
  /// Called in a handler of an exception of that type.
  void (*write)(wire_writer& to);
  /// What was written, thrown with `nested` if that is not null. Throws what goes wrong in that.
  std::exception_ptr (*read)(wire_reader& from, const std::exception_ptr& nested);
};

/// Adds a form. The first for a type counts. Any thread; lock-free. Throws std::bad_alloc.
void add_exception_form(const exception_form& form);

/// `exception` as what it would be had it been thrown in a handler of `nested`.
template <class E>
std::exception_ptr with_nested(E exception, const std::exception_ptr& nested) {
  if (nested == nullptr) return std::make_exception_ptr(std::move(exception));
  try {
    std::rethrow_exception(nested);
  } catch (...) {
    try {
      std::throw_with_nested(std::move(exception));
    } catch (...) {
      return std::current_exception();
    }
  }
}

/// The code as a number and a category, which is one of the standard library's; else this throws serialization_error.
void write_error_code(wire_writer& to, const std::error_code& code);
[[nodiscard]] std::error_code read_error_code(wire_reader& from);

}  // namespace detail
}  // namespace remuda
