// `remuda measure`: what this machine does. The work is in measure/; here are options, files and the terminal.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "remuda/topology.hpp"
#include "runtime/topo/cpu_list.hpp"
#include "tools/remuda/measure/heat_map.hpp"
#include "tools/remuda/measure/report.hpp"
#include "tools/remuda/measured.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

struct options {
  std::vector<std::string> only;
  double seconds = 20;
  std::string cpus;
  bool json = false;
  std::string json_file;
  std::string svg_file;
};

// The CPUs that this process may use; of these only the named ones.
topology machine_to_measure(const std::string& cpus) {
  topology machine = detect_topology();
  if (cpus.empty()) return machine;
  const auto named = topo::parse_cpu_list(cpus);
  if (!named || named->empty()) {
    throw ending(wrong_use, "--cpus: \"" + cpus + "\" is no list of CPUs; write it like 0-3,8");
  }
  std::vector<unsigned> allowed;
  allowed.reserve(machine.cpus.size());
  for (const cpu& each : machine.cpus) allowed.push_back(each.os_index);
  for (const unsigned each : *named) {
    if (std::binary_search(allowed.begin(), allowed.end(), each)) continue;
    throw ending(wrong_use, fmt::format("--cpus: this process may not use CPU {}; it may use {}", each,
                                        topo::to_cpu_list(allowed)));
  }
  std::erase_if(machine.cpus,
                [&](const cpu& each) { return !std::binary_search(named->begin(), named->end(), each.os_index); });
  return machine;
}

bool colour_wanted() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return isatty(STDOUT_FILENO) == 1 && (terminal == nullptr || std::string(terminal) != "dumb");
}

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 80;
}

void run_measure(const options& o) {
  // By hand, for "nan" is a number too.
  constexpr double least = 0.1, most = 3600;
  if (!(o.seconds >= least && o.seconds <= most)) {
    throw ending(wrong_use, fmt::format("--seconds: {} is not from {} to {}", o.seconds, least, most));
  }
  measure_settings settings;
  settings.machine = machine_to_measure(o.cpus);
  settings.only = o.only;
  settings.seconds = o.seconds;
  const topo::measurements found = measure_with_progress(std::move(settings));
  if (!o.json_file.empty()) write_whole_file(o.json_file, topo::to_json(found));
  if (!o.svg_file.empty()) write_whole_file(o.svg_file, heat_map_svg(found));
  if (o.json) {
    fmt::print("{}", topo::to_json(found));
    for (const std::string& each : found.doubts) fmt::print(stderr, "remuda: doubt: {}\n", each);
  } else {
    fmt::print("{}", report_text(found, colour_wanted(), terminal_columns()));
  }
}

}  // namespace

void add_measure(CLI::App& app) {
  const auto o = std::make_shared<options>();
  CLI::App* const verb = app.add_subcommand("measure", "Measures how long things take on this machine");
  verb->add_option("--only", o->only,
                   fmt::format("What to measure: {}; all of it if not given", fmt::join(measurement_names(), ", ")))
      ->delimiter(',')
      ->type_name("LIST")
      ->check(CLI::IsMember(measurement_names()).description(""));
  verb->add_option("--seconds", o->seconds, "How long it may take, all together; 0.1 to 3600")
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--cpus", o->cpus, "Only these CPUs, like 0-3,8")->type_name("LIST");
  verb->add_flag("--json", o->json, "JSON on the standard output in place of text");
  verb->add_option("-o,--output", o->json_file, "Write the JSON to this file as well")->type_name("FILE");
  verb->add_option("--svg", o->svg_file, "Draw the latencies between cores into this file")->type_name("FILE");
  verb->footer(
      "A machine that is too busy to be measured is told with the reasons. Ctrl-C ends early and writes nothing.\n"
      "\n"
      "Examples:\n"
      "  remuda measure                              all of it, as text\n"
      "  remuda measure -o machine.json              and for `remuda tune`\n"
      "  remuda measure --only core_to_core --svg cores.svg\n"
      "  remuda measure --cpus 0-7 --seconds 60 --json");
  verb->callback([o] { run_measure(*o); });
}

}  // namespace remuda::tool
