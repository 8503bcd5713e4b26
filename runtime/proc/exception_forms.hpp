// The types of exceptions that travel as themselves, by name.
#pragma once

#include <string>
#include <string_view>
#include <typeinfo>

#include "remuda/detail/remote_exception.hpp"

namespace remuda::detail {

/// The form of the exceptions of that type, null if there is none. Any thread; lock-free.
[[nodiscard]] const exception_form* find_exception_form(std::string_view type);

/// The type's name as in source code. An exception that was thrown with a nested one has a type of the standard
/// library's own, derived from the type that the user named; that is the one whose name this gives.
[[nodiscard]] std::string exception_name(const std::type_info& type);

}  // namespace remuda::detail
