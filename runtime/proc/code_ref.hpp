// Modules: the main executable and the shared libraries, by numbers that two processes agree on.
//
// The parent gives the numbers, in the order in which functions of the modules are first named. It tells a worker what
// a number means (module_of, learn_module) before the first task that may need it: modules_known() after encoding the
// task says how far. A worker gives no numbers of its own (only_learn_modules), so that the two never differ.
//
// A module is recognised by its build id, the identity that the linker writes into it. Where it was linked without one,
// a checksum of its program headers, its size and its time of last change take that place: two builds may then be
// mistaken for each other if all of these agree. `-Wl,--build-id` avoids that.
//
// A module with a number is never unloaded, so that its addresses stay valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "remuda/detail/code_ref.hpp"

namespace remuda::detail {

/// How to find a module in another process.
struct module_id {
  std::string path;                 ///< absolute, if it could be found out
  std::vector<std::byte> build_id;  ///< or what stands in for it, see above
};

/// The identity of a module that has this number here. Any thread. Throws remuda::error if there is none.
[[nodiscard]] module_id module_of(std::uint16_t module);

/// How many modules have numbers: they are 0 ... modules_known() - 1. At least 1. Any thread; wait-free.
[[nodiscard]] std::uint16_t modules_known();

/// Gives `module` its number here: a loaded module with this build id, else the one that can be loaded from the path.
/// Learning the same once more changes nothing. Throws remuda::error, with what to do, if it cannot be loaded, if it is
/// another build, or if the number is another module's.
void learn_module(std::uint16_t module, const module_id& id);

/// From now on code_ref_of() gives no numbers in this process: it throws for a module that was not learned.
void only_learn_modules();

}  // namespace remuda::detail
