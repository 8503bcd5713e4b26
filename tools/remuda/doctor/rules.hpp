// What makes tasks late on a host, as a table of rules: each looks at what is known and tells at most one thing.
#pragma once

#include <string>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/topo/host.hpp"
#include "runtime/topo/whole_machine.hpp"

namespace remuda::tool {

/// `hurts`: makes tasks late whenever it applies. `may_hurt`: for some programs or at some times. `note`: to know, and
/// nothing that a script has to act on.
enum class severity { hurts, may_hurt, note };

const char* to_string(severity how_bad);

struct finding {
  std::string id;  ///< of its rule; does not change between versions
  severity how_bad = severity::note;
  std::string what;    ///< is the case here
  std::string effect;  ///< on latency
  std::string change;  ///< what an administrator, or who starts the program, can do: a command, a file, a setting
};

/// What a rule looks at.
struct patient {
  const topo::host* host = nullptr;  ///< null: of a described machine only the topology is known
  const topo::whole_machine& whole;
  const topology& usable;
  unsigned workers = usable.usable();  ///< of a pool by default
};

/// The ids of all rules, in order of effect.
std::vector<std::string> rule_ids();

/// What was found, the worst first; of equal severity in order of effect.
std::vector<finding> examine(const patient& who);

}  // namespace remuda::tool
