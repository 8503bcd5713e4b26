// An exception on the wire: whether there is one; the one nested in it, likewise; the name of its type; its text; its
// form with the form's length, if its type has one. The inner one comes first because the outer one is made in its
// handler.
#include "remuda/detail/remote_exception.hpp"

#include <cxxabi.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remuda/wire.hpp"
#include "runtime/proc/exception_forms.hpp"

namespace remuda::detail {
namespace {

// Exceptions nested deeper than this are left out. Each takes a few frames of stack on both sides.
constexpr int deepest = 64;

// Longer texts are cut, so that the text of an exception has room where a large result has not.
constexpr std::size_t longest_text = std::size_t{16} * 1024;

// The functions named ..._current are called in the handler of an exception and are about that.

std::exception_ptr nested_in_current() {
  try {
    throw;
  } catch (const std::nested_exception& e) {
    return e.nested_ptr();
  } catch (const remote_error& e) {
    return e.nested();
  } catch (...) {
    return nullptr;
  }
}

std::string text_of_current() {
  const char* text = nullptr;
  try {
    throw;
  } catch (const std::exception& e) {
    text = e.what();
  } catch (const std::string& e) {
    return e.substr(0, longest_text);
  } catch (const char* e) {
    text = e;
  } catch (...) {
    text = "an exception that is not derived from std::exception";
  }
  return text == nullptr ? std::string() : std::string(std::string_view(text).substr(0, longest_text));
}

// The bytes of its form; empty if they could not be made.
std::vector<std::byte> bytes_of_current(const exception_form& form, bool& encoded) {
  vector_writer bytes;
  try {
    form.write(bytes);
    encoded = true;
    return bytes.take();
  } catch (...) {
    encoded = false;  // its name and its text will have to do
    return {};
  }
}

void write_chain(wire_writer& to, const std::exception_ptr& exception, int depth) {
  wire_write(to, exception != nullptr);
  if (exception == nullptr) return;
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    write_chain(to, depth < deepest ? nested_in_current() : nullptr, depth + 1);
    const std::string name = exception_name(*abi::__cxa_current_exception_type());
    wire_write(to, name);
    wire_write(to, text_of_current());
    const exception_form* form = find_exception_form(name);
    bool encoded = false;
    const std::vector<std::byte> bytes = form != nullptr ? bytes_of_current(*form, encoded) : std::vector<std::byte>();
    wire_write(to, encoded);
    if (encoded) wire_write(to, bytes);
  }
}

std::exception_ptr read_chain(wire_reader& from, int depth) {
  if (!wire_read<bool>(from)) return nullptr;
  if (depth > deepest) throw serialization_error("encoded exceptions are nested too deeply");
  const std::exception_ptr nested = read_chain(from, depth + 1);
  auto name = wire_read<std::string>(from);
  const auto text = wire_read<std::string>(from);
  if (wire_read<bool>(from)) {
    const auto bytes = wire_read<std::vector<std::byte>>(from);
    if (const exception_form* form = find_exception_form(name)) {
      wire_reader form_bytes(bytes.data(), bytes.size());
      return form->read(form_bytes, nested);
    }
  }
  return with_nested(remote_error(std::move(name), text, nested), nested);
}

}  // namespace

void write_exception(wire_writer& to, const std::exception_ptr& exception) { write_chain(to, exception, 0); }

std::exception_ptr read_exception(wire_reader& from) {
  // The form of a user's type may contain an exception_ptr, and that again one of the type.
  thread_local int inside_others = 0;
  struct level {
    level() { ++inside_others; }
    ~level() { --inside_others; }
  } const here;
  return read_chain(from, inside_others - 1);
}

}  // namespace remuda::detail
