#include "runtime/proc/code_ref.hpp"

#include <dlfcn.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "remuda/detail/sync.hpp"
#include "remuda/error.hpp"
#include "runtime/proc/modules.hpp"

namespace remuda::detail {
namespace {

constexpr unsigned offset_bits = 48;
constexpr code_ref offset_mask = (code_ref{1} << offset_bits) - 1;
constexpr std::uint16_t most_modules = 1024;

// The module of each number. A place is filled once and never changes. No lock: a worker may be forked while another
// thread of the parent would hold it.
constinit std::array<atomic<const loaded_module*>, most_modules> table{};
constinit atomic<bool> only_learn{false};

// Fills the place if it is empty, and returns what is there.
const loaded_module& fill(std::uint16_t place, std::unique_ptr<const loaded_module>& module) {
  const loaded_module* there = nullptr;
  // [C1] release: publishes the module; pairs with [C2]. acquire: sees the one that another thread has put there.
  if (table[place].compare_exchange_strong(there, module.get(), std_sync::acq_rel, std_sync::acquire)) {
    there = module.release();
  }
  return *there;
}

// Null: the number is no module's.
const loaded_module* at(std::uint16_t place) {
  if (place >= most_modules) return nullptr;
  // [C2] acquire: sees the module; pairs with [C1]
  const loaded_module* module = table[place].load(std_sync::acquire);
  if (module == nullptr && place == 0) {
    auto own = std::make_unique<const loaded_module>(main_module());
    module = &fill(0, own);
  }
  return module;
}

const loaded_module& known(std::uint16_t number) {
  const loaded_module* module = at(number);
  if (module == nullptr) {
    throw error("a function is in module " + std::to_string(number) + ", which this process has not been told of");
  }
  return *module;
}

// Sees to it that the module is not unloaded while its code is known by number.
void keep(const loaded_module& module) {
  if (dlopen(module.name.c_str(), RTLD_LAZY | RTLD_NOLOAD) == nullptr) {
    const char* reason = dlerror();
    throw error("cannot name a function of " + module.path + " to another process: the library cannot be kept loaded" +
                (reason != nullptr ? std::string(": ") + reason : ""));
  }
}

// The next number goes to the module, unless another thread gives it one first.
std::uint16_t number_of(std::unique_ptr<const loaded_module> module) {
  const std::uintptr_t base = module->base;
  for (std::uint16_t place = 1; place < most_modules; ++place) {
    if (fill(place, module).base == base) return place;
  }
  throw error("functions of more than " + std::to_string(most_modules) + " modules were sent to other processes");
}

code_ref make_ref(std::uint16_t module, std::uintptr_t offset) {
  return (code_ref{module} << offset_bits) | (offset & offset_mask);
}

std::string without_build_id(const loaded_module& module) {
  return module.has_build_id ? ""
                             : " It has no build id, by which it could be recognised: link it with -Wl,--build-id.";
}

void must_be(const loaded_module& here, const module_id& wanted) {
  if (here.build_id != wanted.build_id) {
    throw error(here.path + " is another build in this process than in the one that sent a function of it. Was it " +
                "replaced while the program ran?" + without_build_id(here));
  }
}

}  // namespace

code_ref code_ref_of(const void* function) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  for (std::uint16_t number = 0; const loaded_module* module = at(number); ++number) {
    if (module->holds(address - module->base)) return make_ref(number, address - module->base);
  }
  std::optional<loaded_module> module = module_with_code(address);
  if (!module) throw error("this address is not the code of a function in the program or in a loaded library");
  // relaxed: set before this process runs tasks
  if (only_learn.load(std_sync::relaxed)) {
    throw error("a function of " + module->path +
                " cannot be sent from a worker: the parent has not used that library");
  }
  keep(*module);
  const std::uintptr_t base = module->base;
  return make_ref(number_of(std::make_unique<const loaded_module>(*std::move(module))), address - base);
}

const void* resolve(code_ref ref) {
  const loaded_module& module = known(static_cast<std::uint16_t>(ref >> offset_bits));
  const std::uintptr_t offset = ref & offset_mask;
  if (!module.holds(offset)) throw error("offset " + std::to_string(offset) + " is not in the code of " + module.path);
  return reinterpret_cast<const void*>(module.base + offset);
}

module_id module_of(std::uint16_t module) {
  const loaded_module& m = known(module);
  return {m.path, m.build_id};
}

std::uint16_t modules_known() {
  std::uint16_t number = 0;
  while (at(number) != nullptr) ++number;
  return number;
}

void learn_module(std::uint16_t module, const module_id& id) {
  if (module >= most_modules) throw error("there is no module " + std::to_string(module));
  if (const loaded_module* there = at(module)) return must_be(*there, id);
  std::optional<loaded_module> found = module_with_build_id(id.build_id);
  if (found) {
    keep(*found);
  } else {
    void* const handle = dlopen(id.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = dlerror();
      throw error("cannot load " + id.path +
                  ", which a task needs: " + (reason != nullptr ? reason : "no reason given"));
    }
    found = module_of_handle(handle);
    if (!found) throw error("cannot find out what was loaded from " + id.path);
    try {
      must_be(*found, id);
    } catch (const error&) {
      dlclose(handle);
      throw;
    }
  }
  auto own = std::make_unique<const loaded_module>(*std::move(found));
  must_be(fill(module, own), id);
}

// relaxed: a worker calls it before it runs a task
void only_learn_modules() { only_learn.store(true, std_sync::relaxed); }

}  // namespace remuda::detail
