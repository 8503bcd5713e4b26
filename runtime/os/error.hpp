// Errors of system calls, with what to do about them.
#pragma once

#include <string>
#include <string_view>

namespace remuda::os {

/// Throws std::system_error: `what` was tried, `error` (an errno value) is why it failed, and, where there is something
/// that the user of the program can do about it, the text says that too.
[[noreturn]] void throw_errno(int error, std::string_view what);

/// What to do about this errno value; empty when there is nothing to say.
std::string_view advice(int error) noexcept;

}  // namespace remuda::os
