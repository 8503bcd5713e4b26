// The name of a function that is valid in every process of the same binary, wherever it has been loaded to.
#pragma once

#include <cstdint>

namespace remuda::detail {

/// module << 48 | offset from where the module is loaded. Module 0 is the main executable.
using code_ref = std::uint64_t;

/// The name of the code at `function`. Its module gets a number on first use, and stays loaded from then on. Any
/// thread; lock-free but for the system's loader. Throws remuda::error if `function` is not code of a loaded module, or
/// if this process may only use the modules that another one has named (see only_learn_modules).
[[nodiscard]] code_ref code_ref_of(const void* function);

/// Where the code of that name is in this process. Any thread; wait-free. Throws remuda::error for a module that has no
/// such number here and for an offset that is not in its code.
[[nodiscard]] const void* resolve(code_ref ref);

/// The same for pointers to functions; null stays null.
template <class R, class... Args>
[[nodiscard]] code_ref code_ref_of(R (*function)(Args...)) {
  return function == nullptr ? 0 : code_ref_of(reinterpret_cast<const void*>(function));
}

}  // namespace remuda::detail
