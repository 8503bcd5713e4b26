// `remuda topo`: what the machine is, what this process may use of it, and where a pool's workers would be.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tools/remuda/topo/report.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

constexpr unsigned most_workers = topo::most_described_cpus;

struct options {
  machine_options machine;
  std::optional<unsigned> workers;
  std::optional<std::string> svg;
  bool json = false;
};

topo_report make_report(const options& given) {
  chosen_machine machine = choose_machine(given.machine);
  std::optional<topo::host> host;
  if (machine.is_this_machine) host = topo::read_host();
  default_pool by_default = default_pool_on(machine);
  const unsigned workers = given.workers.value_or(by_default.workers);
  topo::placement placed(machine.usable, workers);
  return {std::move(machine),        std::move(host),  std::move(by_default), workers,
          given.workers.has_value(), std::move(placed)};
}

void show(const options& given) {
  const topo_report report = make_report(given);
  if (given.svg) write_whole_file(*given.svg, to_svg(report));
  const std::string text = given.json ? to_json(report) : to_text(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

void add_topo(CLI::App& app) {
  const auto given = std::make_shared<options>();
  CLI::App& verb = *app.add_subcommand("topo", "Shows the machine, what may be used of it, and where workers would be");
  add_machine_options(verb, given->machine);
  verb.add_option("--workers", given->workers, "Workers of the pool; as many as a pool has by default if not given")
      ->check(CLI::Range(1U, most_workers));
  verb.add_flag("--json", given->json, "One JSON document in place of the text");
  verb.add_option("--svg", given->svg, "Also draws the machine and its workers into this file")->type_name("FILE");
  verb.footer(
      "Examples:\n"
      "  remuda topo                                    this machine\n"
      "  remuda topo --cpus 0-3 --quota 1.5             this machine, if only that were allowed\n"
      "  remuda topo --topology \"pack:2 [numa] l3:1 core:64 pu:2\" --workers 64\n"
      "  remuda topo --topology server.xml --svg server.svg");
  verb.callback([given] { show(*given); });
}

}  // namespace remuda::tool
