// remuda profile: looks at profiles. check: may pools here use it? diff: which settings differ? show: which one do
// pools take, and what does it say?
#include "remuda/profile.hpp"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "remuda/error.hpp"
#include "runtime/sched/settings.hpp"
#include "tools/remuda/default_pool.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {
namespace {

using nlohmann::ordered_json;

constexpr int not_usable = 12;
constexpr int differ = 1;

void print(const ordered_json& document) {
  fmt::print("{}\n", document.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void check(const std::string& path, bool json) {
  const looked_at seen = look_at_profile(path);
  if (json) {
    print({{"file", path}, {"usable", seen.why_not.empty()}, {"why_not", seen.why_not}});
  } else if (seen.why_not.empty()) {
    fmt::print("{}: pools here use it ({})\n", one_line(path), describe(seen.what->machine));
  } else {
    fmt::print("{}: pools here do not use it: {}\n", one_line(path), one_line(seen.why_not));
  }
  if (!seen.why_not.empty()) throw ending(not_usable);
}

profile load_for_diff(const std::string& path) {
  try {
    return load_profile(path);
  } catch (const error& e) {
    throw ending(not_usable, fmt::format("{}: {}", one_line(path), one_line(e.what())));
  }
}

void diff(const std::string& left, const std::string& right, bool json) {
  const profile a = load_for_diff(left);
  const profile b = load_for_diff(right);
  const std::string machines = difference(a.machine, b.machine);
  const auto settings_of_a = list_settings(a);
  const auto settings_of_b = list_settings(b);
  ordered_json changes = ordered_json::array();
  for (std::size_t i = 0; i < settings_of_a.size(); ++i) {
    const setting_line& x = settings_of_a[i];
    const setting_line& y = settings_of_b[i];
    if (x.value == y.value) continue;
    if (json) {
      changes.push_back({{"name", x.name}, {"left", x.value}, {"right", y.value}});
    } else {
      fmt::print("{:<20} {} -> {}\n    {}\n    {}\n", x.name, x.value, y.value, one_line(x.reason), one_line(y.reason));
    }
  }
  if (json) {
    print({{"settings", changes}, {"same_machine", machines.empty()}});
  } else if (!machines.empty()) {
    fmt::print("They are of different machines:\n    {}\n    {}\n", describe(a.machine), describe(b.machine));
  }
  if (a.settings != b.settings) throw ending(differ);
}

const char* why(detail::profile_source source) {
  switch (source) {
    case detail::profile_source::option:
      return "named on the command line";
    case detail::profile_source::environment:
      return "named by REMUDA_PROFILE";
    case detail::profile_source::user_folder:
      return "in the user's configuration folder";
    default:
      return "REMUDA_PROFILE is not set, and the user's configuration folder has none";
  }
}

void show(const std::optional<std::string>& named, bool json) {
  const detail::found_profile found = detail::find_profile(named);
  if (found.path.empty()) {
    const char* const reason =
        found.source == detail::profile_source::environment ? "REMUDA_PROFILE is empty" : why(found.source);
    const profile built_in;
    if (json) {
      print(
          {{"file", nullptr}, {"why", reason}, {"usable", false}, {"why_not", "there is none"}, {"profile", nullptr}});
    } else {
      const std::string place = detail::user_profile_path();
      fmt::print("No profile: {}. Pools take the built-in settings:\n\n{}", reason, settings_table(built_in));
      if (!place.empty()) fmt::print("\n`remuda tune` writes {}.\n", one_line(place));
    }
    return;
  }
  const looked_at seen = look_at_profile(found.path);
  if (json) {
    print({{"file", found.path},
           {"why", why(found.source)},
           {"usable", seen.why_not.empty()},
           {"why_not", seen.why_not},
           {"profile", seen.what ? ordered_json::parse(to_json(*seen.what)) : ordered_json(nullptr)}});
  } else {
    fmt::print("{} ({})\n", one_line(found.path), why(found.source));
    if (!seen.why_not.empty()) fmt::print("Pools here do not use it: {}\n", one_line(seen.why_not));
    if (seen.what) {
      fmt::print("{}\nmade at {} by remuda {}\n\n{}", describe(seen.what->machine), one_line(seen.what->made_at),
                 one_line(seen.what->made_by), settings_table(*seen.what));
    }
  }
  if (!seen.why_not.empty()) throw ending(not_usable);
}

struct profile_options {
  std::string file, other;
  std::optional<std::string> named;
  bool json = false;
};

void add_json(CLI::App& verb, profile_options& options) {
  verb.add_flag("--json", options.json, "One JSON document on the standard output");
}

}  // namespace

void add_profile(CLI::App& app) {
  auto options = std::make_shared<profile_options>();
  CLI::App* const verb = app.add_subcommand("profile", "Looks at the profiles that `remuda tune` writes");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  remuda profile show               which profile pools take, and its settings\n"
      "  remuda profile check FILE         status 12 if pools on this machine would not use it\n"
      "  remuda profile diff OLD NEW       the settings that changed; status 1 if any did");

  CLI::App* const checks = verb->add_subcommand("check", "Would pools on this machine use it?");
  checks->add_option("FILE", options->file)->required();
  add_json(*checks, *options);
  checks->footer(
      "Exit status: 0 yes; 12 no: damaged, of an unknown version, of another machine, not readable.\n"
      "Examples:\n"
      "  remuda profile check ~/.config/remuda/profile.json\n"
      "  remuda profile check --json there.json");
  checks->callback([options] { check(options->file, options->json); });

  CLI::App* const diffs = verb->add_subcommand("diff", "Which settings differ?");
  diffs->add_option("LEFT", options->file)->required();
  diffs->add_option("RIGHT", options->other)->required();
  add_json(*diffs, *options);
  diffs->footer(
      "Reasons and machines may differ without the settings.\n"
      "Exit status: 0 the settings are equal; 1 they differ; 12 one of the files is no valid profile.\n"
      "Examples:\n"
      "  remuda profile diff before.json after.json\n"
      "  remuda profile diff --json a.json b.json");
  diffs->callback([options] { diff(options->file, options->other, options->json); });

  CLI::App* const shows = verb->add_subcommand("show", "Which profile do pools take, and what does it say?");
  shows->add_option("FILE", options->named, "This one, instead of the one that pools take");
  add_json(*shows, *options);
  shows->footer(
      "Pools take the one of their options, else the one that REMUDA_PROFILE names (empty: none), else\n"
      "remuda/profile.json in $XDG_CONFIG_HOME or ~/.config.\n"
      "Exit status: 0; 12 there is one, and pools on this machine would not use it.\n"
      "Examples:\n"
      "  remuda profile show\n"
      "  REMUDA_PROFILE=other.json remuda profile show --json");
  shows->callback([options] { show(options->named, options->json); });
}

}  // namespace remuda::tool
