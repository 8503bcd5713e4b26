#include "tools/remuda/machine.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/os/affinity.hpp"
#include "runtime/topo/cgroup.hpp"
#include "runtime/topo/cpu_list.hpp"
#include "tools/remuda/trial.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

constexpr std::size_t largest_file = std::size_t{64} << 20;  // XML of the largest machines has some MiB

// For messages: one line, and not a screenful.
std::string shortened(const std::string& text) {
  std::string line = text.substr(0, 60);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text.size() > line.size() ? line + ".." : line;
}

std::string read_description(const std::string& path) try {
  return read_whole_file(path, largest_file, fmt::format("more than {} MiB, which is no topology", largest_file >> 20));
} catch (const std::runtime_error& e) {
  throw ending(wrong_use, fmt::format("--topology: cannot read {}: {}", shortened(path), e.what()));
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// A description itself, or the contents of the file that is meant. A name with a slash or of a file that is there is
// a file; no synthetic description has a slash, and files that are named like one can be given as "./NAME".
std::string description(const std::string& given) {
  struct stat found {};
  const bool is_text = given.find_first_of("<\n") != std::string::npos;
  const bool is_file = !is_text && (given.find('/') != std::string::npos || given.ends_with(".xml") ||
                                    ::stat(given.c_str(), &found) == 0);
  return std::string(trim(is_file ? read_description(given) : given));
}

// hwloc crashes on some damaged descriptions, or never gets done: first a child does with it what the verbs will do.
trial_end try_description(const std::string& text) try {
  return try_out([&text] {
    const topo::machine_source source = topo::machine_source::described(text);
    if (!source.known()) return false;
    source.cpus();
    source.usable({});
    source.whole({});
    source.xml();
    return true;
  });
} catch (const std::system_error& e) {
  throw ending(failed, fmt::format("--topology: no process can be started to try the description in ({}); end other "
                                   "processes, or allow more with `ulimit -u`",
                                   e.code().message()));
}

// Why a description is of no use, and what to do.
std::string complaint(const std::string& given, bool is_xml, trial_end end) {
  if (end == trial_end::crashed || end == trial_end::too_slow) {
    const char* const what = end == trial_end::crashed ? "crashes on" : "does not get done with";
    if (is_xml) {
      return fmt::format("hwloc {} the XML of {}, which is damaged; `lstopo --of xml FILE` writes a good one", what,
                         shortened(given));
    }
    return fmt::format("hwloc {} \"{}\", which is damaged; a good one is \"pack:2 [numa] l3:2 core:8 pu:2\"", what,
                       shortened(given));
  }
  if (is_xml) {
    return fmt::format(
        "hwloc cannot read the XML of {}: it is damaged, of another version of hwloc, or has more than "
        "{} CPUs; `lstopo --of xml FILE` writes it",
        shortened(given), topo::most_described_cpus);
  }
  return fmt::format(
      "\"{}\" is neither a file here nor a description that hwloc knows, such as \"pack:2 [numa] l3:2 "
      "core:8 pu:2\", of at most {} CPUs",
      shortened(given), topo::most_described_cpus);
}

topo::machine_source described_machine(const std::string& given) {
  const std::string text = description(given);
  const trial_end end = try_description(text);
  if (end == trial_end::well) {
    topo::machine_source source = topo::machine_source::described(text);
    if (source.known()) return source;
  }
  throw ending(wrong_use, "--topology: " + complaint(given, text.starts_with("<"), end));
}

// The CPUs that --cpus names, all of which the machine must have.
std::vector<unsigned> named_cpus(const std::string& given, const topo::machine_source& source) {
  const auto named = topo::parse_cpu_list(given);
  if (!named) {
    throw ending(wrong_use, fmt::format("--cpus: \"{}\" is no list of CPUs such as 0-3,8", shortened(given)));
  }
  if (named->empty()) throw ending(wrong_use, "--cpus: the list is empty; name at least one CPU, as in 0-3,8");
  if (!source.known()) return *named;
  const std::vector<unsigned> there = source.cpus();
  std::vector<unsigned> missing;
  std::set_difference(named->begin(), named->end(), there.begin(), there.end(), std::back_inserter(missing));
  if (!missing.empty()) {
    throw ending(wrong_use, fmt::format("--cpus: the machine has no CPU {}; it has {}",
                                        shortened(topo::to_cpu_list(missing)), topo::to_cpu_list(there)));
  }
  return *named;
}

double parse_quota(const std::string& given) {
  double quota = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), quota);
  if (error != std::errc{} || end != given.data() + given.size() || !(quota > 0)) {
    throw ending(wrong_use,
                 fmt::format("--quota: \"{}\" is no number of CPUs above 0, such as 1.5, or inf for no quota",
                             shortened(given)));
  }
  return quota;
}

}  // namespace

void add_machine_options(CLI::App& verb, machine_options& options) {
  verb.add_option("--topology", options.topology,
                  "Another machine than this one: a description that hwloc knows, such as \"pack:2 [numa] l3:2 core:8 "
                  "pu:2\", or the name of a file that holds one or hwloc's XML")
      ->type_name("TEXT|FILE");
  verb.add_option("--cpus", options.cpus, "As if the affinity mask had these CPUs only, as in 0-3,8")
      ->type_name("LIST");
  verb.add_option("--quota", options.quota, "As if so many CPUs' worth of time were allowed, as in 1.5; inf = no quota")
      ->type_name("CPUS");
}

chosen_machine choose_machine(const machine_options& options) {
  std::optional<double> quota;
  if (options.quota) quota = parse_quota(*options.quota);

  const bool is_this = !options.topology;
  topo::machine_source source = is_this ? topo::machine_source::this_machine() : described_machine(*options.topology);
  os::cpu_mask mask;
  if (options.cpus) {
    mask = os::cpu_mask(named_cpus(*options.cpus, source));
  } else if (is_this) {
    os::get_affinity(mask);  // where it is refused, the empty mask stands for all CPUs
  }
  const double unlimited = std::numeric_limits<double>::infinity();
  topology usable = source.usable(mask, quota ? *quota : (is_this ? topo::cpu_quota() : unlimited));
  topo::whole_machine whole = source.whole(mask);
  return {std::move(whole), std::move(usable), std::move(source), is_this, options.cpus.has_value(), quota.has_value()};
}

}  // namespace remuda::tool
