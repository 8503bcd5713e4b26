#include "runtime/proc/exception_forms.hpp"

#include <cxxabi.h>

#include <any>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <variant>

#include "remuda/detail/sync.hpp"
#include "remuda/wire.hpp"

namespace remuda::detail {
namespace {

struct named_form {
  exception_form form;
  std::string name;
  const named_form* next;
};

// A list to which a lock-free push adds at the front. Forms are never removed.
constinit atomic<const named_form*> added{nullptr};

// E without a text of its own.
template <class E>
exception_form form_of_constant() {
  return {&typeid(E), [](wire_writer&) {},
          [](wire_reader&, const std::exception_ptr& nested) { return with_nested(E{}, nested); }};
}

template <class E>
exception_form form_of_text() {
  return {&typeid(E), &write_current_exception<E>, &read_exception_as<E>};
}

// E of which write(to, e) and E read(from, nested) are the parts to be sent.
template <class E, auto write, auto read>
exception_form form_of_parts() {
  return {&typeid(E),
          [](wire_writer& to) {
            try {
              throw;
            } catch (const E& e) {
              write(to, e);
            }
          },
          [](wire_reader& from, const std::exception_ptr& nested) { return with_nested(read(from, nested), nested); }};
}

// The text that a system_error was constructed with; nothing if with none. what() is that text, ": " and the code's
// own.
std::optional<std::string> own_text(std::string_view what, const std::error_code& code) {
  const std::string message = code.message();
  if (what == message) return std::nullopt;
  const std::string tail = ": " + message;
  if (what.ends_with(tail)) what.remove_suffix(tail.size());
  return std::string(what);
}

using code_and_text = std::pair<std::error_code, std::optional<std::string>>;

void write_code_and_text(wire_writer& to, const std::system_error& e) {
  // not the virtual what(), to which derived classes add more
  wire_write(to, code_and_text{e.code(), own_text(e.std::system_error::what(), e.code())});
}

std::system_error read_system_error(wire_reader& from, const std::exception_ptr&) {
  const auto [code, text] = wire_read<code_and_text>(from);
  return text ? std::system_error(code, *text) : std::system_error(code);
}

std::ios_base::failure read_ios_failure(wire_reader& from, const std::exception_ptr&) {
  const auto [code, text] = wire_read<code_and_text>(from);
  return std::ios_base::failure(text.value_or(""), code);
}

void write_filesystem_error(wire_writer& to, const std::filesystem::filesystem_error& e) {
  write_code_and_text(to, e);
  wire_write(to, std::pair{e.path1(), e.path2()});
}

std::filesystem::filesystem_error read_filesystem_error(wire_reader& from, const std::exception_ptr&) {
  const auto [code, text] = wire_read<code_and_text>(from);
  const auto [path1, path2] = wire_read<std::pair<std::filesystem::path, std::filesystem::path>>(from);
  const std::string what = text.value_or("");
  // The paths are shown only if they were given.
  if (!path2.empty()) return {what, path1, path2, code};
  if (!path1.empty()) return {what, path1, code};
  return {what, code};
}

void write_future_error(wire_writer& to, const std::future_error& e) { wire_write(to, e.code().value()); }
std::future_error read_future_error(wire_reader& from, const std::exception_ptr&) {
  return std::future_error(static_cast<std::future_errc>(wire_read<int>(from)));
}

void write_regex_error(wire_writer& to, const std::regex_error& e) { wire_write(to, e.code()); }
std::regex_error read_regex_error(wire_reader& from, const std::exception_ptr&) {
  return std::regex_error(wire_read<std::regex_constants::error_type>(from));
}

void write_remote_error(wire_writer& to, const remote_error& e) {
  wire_write(to, std::pair<std::string, std::string>(e.type(), e.what()));
}
remote_error read_remote_error(wire_reader& from, const std::exception_ptr& nested) {
  auto [type, what] = wire_read<std::pair<std::string, std::string>>(from);
  return remote_error(std::move(type), what, nested);
}

void write_worker_died(wire_writer& to, const worker_died& e) {
  wire_write(to, e.wait_status());
  wire_write(to, e.task_id());
}
worker_died read_worker_died(wire_reader& from, const std::exception_ptr&) {
  const int status = wire_read<int>(from);
  return worker_died(status, wire_read<std::uint64_t>(from));
}

std::vector<named_form> named(const std::vector<exception_form>& forms) {
  std::vector<named_form> all;
  all.reserve(forms.size());
  for (const exception_form& form : forms) all.push_back({form, exception_name(*form.type), nullptr});
  return all;
}

// Never destroyed: exceptions travel also while static objects are destroyed.
const std::vector<named_form>& standard_forms() {
  static const auto* forms = new std::vector<named_form>(named({
      form_of_constant<std::exception>(),
      form_of_constant<std::bad_exception>(),
      form_of_constant<std::bad_alloc>(),
      form_of_constant<std::bad_array_new_length>(),
      form_of_constant<std::bad_cast>(),
      form_of_constant<std::bad_typeid>(),
      form_of_constant<std::bad_function_call>(),
      form_of_constant<std::bad_weak_ptr>(),
      form_of_constant<std::bad_any_cast>(),
      form_of_constant<std::bad_optional_access>(),
      form_of_constant<std::bad_variant_access>(),
      form_of_text<std::logic_error>(),
      form_of_text<std::invalid_argument>(),
      form_of_text<std::domain_error>(),
      form_of_text<std::length_error>(),
      form_of_text<std::out_of_range>(),
      form_of_text<std::runtime_error>(),
      form_of_text<std::range_error>(),
      form_of_text<std::overflow_error>(),
      form_of_text<std::underflow_error>(),
      form_of_parts<std::future_error, write_future_error, read_future_error>(),
      form_of_parts<std::regex_error, write_regex_error, read_regex_error>(),
      form_of_parts<std::system_error, write_code_and_text, read_system_error>(),
      form_of_parts<std::ios_base::failure, write_code_and_text, read_ios_failure>(),
      form_of_parts<std::filesystem::filesystem_error, write_filesystem_error, read_filesystem_error>(),
      form_of_text<error>(),
      form_of_text<cancelled_error>(),
      form_of_text<timeout_error>(),
      form_of_text<invalid_state_error>(),
      form_of_text<broken_promise>(),
      form_of_text<shutdown_error>(),
      form_of_text<broken_pool_error>(),
      form_of_text<pool_full_error>(),
      form_of_text<serialization_error>(),
      form_of_parts<remote_error, write_remote_error, read_remote_error>(),
      form_of_parts<worker_died, write_worker_died, read_worker_died>(),
  }));
  return *forms;
}

}  // namespace

std::string exception_name(const std::type_info& type) {
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr), &std::free);
  std::string name = demangled ? demangled.get() : type.name();
  // of libstdc++ and of libc++
  for (const std::string_view prefix : {"std::_Nested_exception<", "std::__1::__nested<"}) {
    if (!name.starts_with(prefix) || !name.ends_with('>')) continue;
    name = name.substr(prefix.size(), name.size() - prefix.size() - 1);
    if (name.ends_with(' ')) name.pop_back();  // between two '>'
  }
  // libstdc++ throws a type of its own in place of this one, so that programs of both its ABIs can catch it.
  if (name == "std::__ios_failure") return exception_name(typeid(std::ios_base::failure));
  return name;
}

const exception_form* find_exception_form(std::string_view type) {
  for (const named_form& each : standard_forms()) {
    if (each.name == type) return &each.form;
  }
  // [E2] acquire: sees the form; pairs with [E1]
  for (const named_form* each = added.load(std_sync::acquire); each != nullptr; each = each->next) {
    if (each->name == type) return &each->form;
  }
  return nullptr;
}

void add_exception_form(const exception_form& form) {
  std::string name = exception_name(*form.type);
  if (find_exception_form(name) != nullptr) return;
  // relaxed: the exchange below looks again
  auto* node = new named_form{form, std::move(name), added.load(std_sync::relaxed)};
  // [E1] release: publishes the form; pairs with [E2]. Two threads may add the same form, of which the later is found.
  while (!added.compare_exchange_weak(node->next, node, std_sync::release, std_sync::relaxed)) {
  }
}

}  // namespace remuda::detail
