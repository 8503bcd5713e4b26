// `remuda doctor`: why a pool has so many workers here, what makes tasks late on this host, and what can be changed.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/topo/host.hpp"
#include "tools/remuda/default_pool.hpp"
#include "tools/remuda/doctor/rules.hpp"
#include "tools/remuda/machine.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

constexpr int found_something = 10;

struct options {
  machine_options machine;
  bool json = false;
};

std::string to_text(const chosen_machine& machine, const default_pool& pool, const std::vector<finding>& findings) {
  std::string text = fmt::format("A pool has {} here by default: {}.\n", counted(pool.workers, "worker"), pool.why);
  if (!machine.is_this_machine)
    text += "Of a described machine only the topology is known, so only that is looked at.\n";
  if (findings.empty()) return text + "Nothing was found that hurts latency.\n";
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const finding& each = findings[i];
    text += fmt::format("\n{:>2}. [{}] {}\n    effect: {}\n    change: {}\n", i + 1, to_string(each.how_bad), each.what,
                        each.effect, each.change);
  }
  return text;
}

std::string to_json(const chosen_machine& machine, const default_pool& pool, const std::vector<finding>& findings) {
  using nlohmann::ordered_json;
  ordered_json items = ordered_json::array();
  for (const finding& each : findings) {
    items.push_back({{"id", each.id},
                     {"severity", to_string(each.how_bad)},
                     {"what", each.what},
                     {"effect", each.effect},
                     {"change", each.change}});
  }
  const ordered_json all = {{"described", !machine.is_this_machine},
                            {"workers", pool.workers},
                            {"why", pool.why},
                            {"findings", std::move(items)}};
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

void show(const options& given) {
  const chosen_machine machine = choose_machine(given.machine);
  std::optional<topo::host> host;
  if (machine.is_this_machine) host = topo::read_host();
  const default_pool pool = default_pool_on(machine);
  const std::vector<finding> findings = examine({host ? &*host : nullptr, machine.whole, machine.usable, pool.workers});
  const std::string text = given.json ? to_json(machine, pool, findings) : to_text(machine, pool, findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const bool hurts =
      std::any_of(findings.begin(), findings.end(), [](const finding& each) { return each.how_bad != severity::note; });
  if (hurts) throw ending(found_something);
}

}  // namespace

void add_doctor(CLI::App& app) {
  const auto given = std::make_shared<options>();
  CLI::App& verb = *app.add_subcommand("doctor", "Tells what makes tasks late here, and what can be changed");
  add_machine_options(verb, given->machine);
  verb.add_flag("--json", given->json, "One JSON document in place of the text");
  verb.footer(
      "Exit status: 0 = nothing that hurts (notes do not count), 10 = something that hurts or may hurt, 2 = wrong "
      "use.\n"
      "Examples:\n"
      "  remuda doctor                                  this host\n"
      "  remuda doctor --json | jq -r '.findings[] | select(.severity == \"hurts\") | .change'\n"
      "  remuda doctor --cpus 1,3 --quota 1.5           if the program were started so\n"
      "  remuda doctor --topology \"pack:2 [numa] l3:1 core:8 pu:2\"");
  verb.callback([given] { show(*given); });
}

}  // namespace remuda::tool
