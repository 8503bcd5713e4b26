// remuda tune: measures, recommends settings, writes them as a profile, and tells whether it pays.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "remuda/config.hpp"
#include "remuda/profile.hpp"
#include "runtime/sched/settings.hpp"
#include "runtime/topo/cpu_list.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/fingerprint.hpp"
#include "runtime/topo/placement.hpp"
#include "runtime/topo/profile_names.hpp"
#include "runtime/topo/recommend.hpp"
#include "tools/remuda/machine.hpp"
#include "tools/remuda/measure/progress.hpp"
#include "tools/remuda/measured.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/tune/verify.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

using nlohmann::ordered_json;

constexpr int profile_is_worse = 11;

struct tune_options {
  std::string output;
  std::optional<std::string> measurements;
  machine_options machine;
  double seconds = 10;
  bool verify = false;
  unsigned rounds = usual_rounds;
  bool json = false;
};

std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

/// The machine's description for pools, and whether reading it is worth it.
void cache_topology(const topo::machine_source& source, profile& p) {
  p.topology = topo::boot_state();
  p.topology.xml = source.xml();
  std::string& reason = p.reasons[topo::setting::topology_from_cache];
  const topo::load_times times = p.topology.xml.empty() ? topo::load_times{} : topo::time_loading(p.topology.xml);
  if (times.look == 0 || p.topology.boot_id.empty()) {
    reason = "this machine's XML cannot be had or not be read again";
    return;
  }
  // Less than a fifth is not worth a second source of truth.
  p.settings.topology_from_cache = times.read < 0.8 * times.look;
  reason =
      fmt::format("once in a program, looking at the machine takes {:.2f} ms, reading its XML {:.2f} ms (medians of 9)",
                  times.look / 1e6, times.read / 1e6);
}

struct tuned {
  profile what;
  topology usable;
  std::optional<topo::measurements> measured;
  std::string written_to;
  std::optional<std::vector<verified>> verified_with;
};

unsigned workers_of(const tuned& t) { return detail::workers_of(t.what.settings.workers, t.usable); }

std::vector<unsigned> cpus_of_workers(const tuned& t) {
  const topo::placement placed(t.usable, workers_of(t));
  std::vector<unsigned> cpus;
  cpus.reserve(placed.workers());
  for (unsigned i = 0; i < placed.workers(); ++i) cpus.push_back(placed.cpu_of(i).os_index);
  return cpus;
}

void print_verified(const std::vector<verified>& all) {
  fmt::print("\nBuilt-in settings against the profile, time of a task:\n");
  fmt::print("  {:<26}{:>14}{:>14}{:>10}   {}\n", "", "built in", "profile", "ratio", "interval");
  for (const verified& each : all) {
    const ratio& r = each.times;
    const std::string interval =
        r.said == verdict::unclear ? "too few rounds" : fmt::format("{:.3f} to {:.3f}", r.low, r.high);
    fmt::print("  {:<26}{:>11.0f} ns{:>11.0f} ns{:>10.3f}   {}  {}\n", each.name, each.before, each.after, r.median,
               interval, r.said == verdict::unclear ? "" : name_of(r.said));
  }
}

const char* conclusion(verdict v) {
  switch (v) {
    case verdict::better:
      return "The profile helps: quicker in some workloads, slower in none, beyond noise.";
    case verdict::worse:
      return "The profile HURTS in some workload, beyond noise: do not use it (remove the file, or set "
             "REMUDA_PROFILE=).";
    case verdict::same:
      return "The profile does NOT help: no difference to the built-in settings beyond noise.";
    default:
      return "Nothing can be said: too few rounds.";
  }
}

void print_text(const tuned& t, const tune_options& options) {
  fmt::print("{}\n", describe(t.what.machine));
  if (!t.measured) {
    fmt::print("Nothing was measured: what needs a measurement stays as it is built in.\n");
  } else if (!t.measured->doubts.empty()) {
    fmt::print("The measurements are in doubt, so settings that rest on them stay as they are built in:\n");
    for (const std::string& doubt : t.measured->doubts) fmt::print("  {}\n", one_line(doubt));
  }
  fmt::print("\n{}", settings_table(t.what));
  const unsigned workers = workers_of(t);
  const std::vector<unsigned> cpus = cpus_of_workers(t);
  std::string where;
  for (const unsigned each : cpus) where += (where.empty() ? "" : ",") + std::to_string(each);
  if (cpus.size() > 16) {
    std::vector<unsigned> sorted = cpus;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    where = topo::to_cpu_list(sorted);
  }
  fmt::print("\nHere and now a pool gets {} worker{}, {} CPU{} {}.\n", workers, workers == 1 ? "" : "s",
             t.what.settings.pin ? "on" : "not pinned, else on", cpus.size() == 1 ? "" : "s", where);
  if (!t.written_to.empty()) fmt::print("Written to {}.\n", one_line(t.written_to));
  if (t.verified_with) {
    if (t.verified_with->empty()) {
      fmt::print("\nThe profile does NOT help: its settings are those that are built in.\n");
    } else {
      print_verified(*t.verified_with);
      fmt::print("{}\n", conclusion(overall(*t.verified_with)));
      fmt::print("({} rounds in alternation; all intervals hold together with 95 %)\n", options.rounds);
    }
  }
}

ordered_json to_document(const tuned& t, const tune_options& options) {
  ordered_json all;
  all["profile"] = ordered_json::parse(to_json(t.what));
  all["measured"] = t.measured.has_value();
  if (t.measured) all["doubts"] = t.measured->doubts;
  all["workers"] = workers_of(t);
  all["cpus"] = cpus_of_workers(t);
  all["written_to"] = t.written_to.empty() ? ordered_json(nullptr) : ordered_json(t.written_to);
  if (t.verified_with) {
    const verdict v = t.verified_with->empty() ? verdict::same : overall(*t.verified_with);
    ordered_json& result = all["verify"] = {{"rounds", options.rounds}, {"verdict", name_of(v)}};
    result["workloads"] = ordered_json::array();
    for (const verified& each : *t.verified_with) {
      const ratio& r = each.times;
      result["workloads"].push_back({{"name", each.name},
                                     {"built_in_ns", each.before},
                                     {"profile_ns", each.after},
                                     {"ratio", r.median},
                                     {"low", r.low},
                                     {"high", std::isfinite(r.high) ? ordered_json(r.high) : ordered_json(nullptr)},
                                     {"confidence", r.confidence},
                                     {"verdict", name_of(r.said)}});
    }
  }
  return all;
}

/// Empty: the settings are those that are built in, so there is nothing to compare.
std::vector<verified> verify(const tuned& t, const tune_options& options) {
  tuned_settings compared = t.what.settings;
  compared.topology_from_cache = tuned_settings{}.topology_from_cache;  // of a program's start alone
  if (compared == tuned_settings{}) return {};
  progress_bar bar;
  const auto start = clock::now();
  return verify_profile(t.written_to, options.rounds, [&](double done) {
    const double spent = nanoseconds_between(start, clock::now()) / 1e9;
    if (done > 0) bar.show(done, spent / done - spent, "comparing with the built-in settings");
  });
}

/// Also the folder, where that is the user's first profile.
void write(const std::string& path, const std::string& text) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    throw ending(failed, fmt::format("cannot make the folder {}: {}; name another file with -o",
                                     one_line(folder.native()), error.message()));
  }
  write_whole_file(path, text);
}

/// Empty: nowhere.
std::string where_to_write(const tune_options& options, bool as_it_is) {
  std::string path = options.output;
  if (path.empty() && as_it_is) {
    path = detail::user_profile_path();
    if (path.empty()) {
      throw ending(failed,
                   "there is no configuration folder to write to: neither XDG_CONFIG_HOME nor HOME is set; name a "
                   "file with -o");
    }
  }
  std::error_code not_there;
  if (std::filesystem::is_directory(path, not_there)) {
    throw ending(failed, fmt::format("{} is a folder; name a file with -o", one_line(path)));
  }
  return path;
}

void run_tune(const tune_options& options) {
  const machine_options& asked = options.machine;
  const bool as_it_is = !asked.topology && !asked.cpus && !asked.quota;
  if (options.verify && !as_it_is) {
    throw ending(wrong_use,
                 "--verify runs pools on this machine as it is: it does not go with --topology, --cpus, --quota");
  }
  // Before anything is measured, which takes its time.
  const std::string path = where_to_write(options, as_it_is);
  const chosen_machine machine = choose_machine(asked);
  tuned t;
  t.usable = machine.usable;
  if (options.measurements) {
    t.measured = read_measurements(*options.measurements);
  } else if (as_it_is) {
    t.measured = measure_for_tuning(machine.usable, options.seconds);
  }
  const topo::host host = machine.is_this_machine ? topo::read_host() : topo::host{};
  t.what = topo::recommend(t.usable, host, t.measured ? &*t.measured : nullptr);
  t.what.made_at = now_in_utc();
  t.what.made_by = REMUDA_VERSION;
  t.what.machine = topo::fingerprint_of(machine.source.usable({}), host);
  if (machine.is_this_machine) cache_topology(machine.source, t.what);

  if (!path.empty()) {
    write(path, to_json(t.what));
    t.written_to = path;
  }
  if (options.verify) t.verified_with = verify(t, options);

  if (options.json) {
    fmt::print("{}\n", to_document(t, options).dump(2, ' ', false, ordered_json::error_handler_t::replace));
  } else {
    print_text(t, options);
  }
  if (t.verified_with && overall(*t.verified_with) == verdict::worse) throw ending(profile_is_worse);
}

}  // namespace

void add_tune(CLI::App& app) {
  auto options = std::make_shared<tune_options>();
  CLI::App* const verb =
      app.add_subcommand("tune", "Finds settings for pools on this machine and writes them as a profile");
  verb->add_option(
          "-o,--output", options->output,
          "Where the profile goes; without it, remuda/profile.json in the configuration folder, where pools find "
          "it. Another machine's (--topology, --cpus, --quota) is written only with -o")
      ->type_name("FILE");
  verb->add_option("--measurements", options->measurements,
                   "What `remuda measure --json` has written, instead of measuring now")
      ->type_name("FILE");
  add_machine_options(*verb, options->machine);
  verb->add_option("--seconds", options->seconds, "How long the measurements may take, all together")
      ->type_name("N")
      ->check(CLI::Range(0.1, 3600.0).description("0.1 to 3600"))
      ->capture_default_str();
  verb->add_flag("--verify", options->verify,
                 "Then runs a small benchmark with the built-in settings and with the profile, in alternation");
  verb->add_option("--rounds", options->rounds, "How often --verify runs each; fewer than 9 say nothing")
      ->type_name("N")
      ->check(CLI::Range(1U, 1000U).description("1 to 1000"))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "One JSON document on the standard output");
  verb->footer(
      "A machine that is described, and a mask or quota that is made up, is not measured.\n"
      "Exit status: 0; 11 --verify found the profile worse than the built-in settings, beyond noise.\n"
      "Examples:\n"
      "  remuda tune                                    pools find the profile from now on\n"
      "  remuda tune --verify                           and does it help?\n"
      "  remuda tune -o here.json --measurements m.json from what was measured before\n"
      "  remuda tune --topology \"pack:2 [numa] core:64 pu:2\" --quota 1.5");
  verb->callback([options] { run_tune(*options); });
}

}  // namespace remuda::tool
