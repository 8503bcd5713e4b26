// What the system's loader knows about the main executable and the shared libraries of this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace remuda::detail {

/// A loaded module, as it was when it was looked for.
struct loaded_module {
  struct range {
    std::uintptr_t begin, end;
  };

  std::string name;                 ///< as the loader knows it; empty for the main executable
  std::string path;                 ///< absolute if that could be found out
  std::uintptr_t base;              ///< what offsets count from
  std::vector<range> code;          ///< where its code is, as offsets
  std::vector<std::byte> build_id;  ///< or what stands in for it where it has none (has_build_id)
  bool has_build_id;

  [[nodiscard]] bool holds(std::uintptr_t offset) const {
    for (const range& r : code) {
      if (offset >= r.begin && offset < r.end) return true;
    }
    return false;
  }
};

// Any thread. These take the loader's lock. They throw std::bad_alloc.

[[nodiscard]] loaded_module main_module();
[[nodiscard]] std::optional<loaded_module> module_with_code(std::uintptr_t address);
[[nodiscard]] std::optional<loaded_module> module_with_build_id(const std::vector<std::byte>& build_id);

/// The module that a handle of dlopen() stands for.
[[nodiscard]] std::optional<loaded_module> module_of_handle(void* handle);

}  // namespace remuda::detail
