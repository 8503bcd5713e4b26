// Which machine a verb talks about: this one, or one that its options describe. Shared by every verb that does not
// measure, so that what a pool would do on any machine can be seen without owning it.
#pragma once

#include <optional>
#include <string>

#include "remuda/topology.hpp"
#include "runtime/topo/whole_machine.hpp"

namespace CLI {
class App;
}

namespace remuda::tool {

/// As given. Must live until the verb's callback has run.
struct machine_options {
  std::optional<std::string> topology;
  std::optional<std::string> cpus;
  std::optional<std::string> quota;
};

/// Adds --topology, --cpus and --quota to a verb.
void add_machine_options(CLI::App& verb, machine_options& options);

struct chosen_machine {
  topo::whole_machine whole;
  topology usable;
  topo::machine_source source;
  bool is_this_machine = true;  ///< no --topology: /proc and /sys, limits and control groups tell of it
  bool mask_given = false;      ///< by --cpus
  bool quota_given = false;     ///< by --quota
};

/// Reads the machine. Throws `ending` with status wrong_use, and what to do, for options that make no sense and for a
/// file that cannot be read.
chosen_machine choose_machine(const machine_options& options);

}  // namespace remuda::tool
