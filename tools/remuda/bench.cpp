// remuda bench: runs the benchmark programs and writes a report; remuda bench compare: two reports side by side.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <regex>
#include <stdexcept>
#include <system_error>

#include "runtime/topo/measurements.hpp"
#include "tools/remuda/bench/comparison.hpp"
#include "tools/remuda/bench/conditions.hpp"
#include "tools/remuda/bench/folder.hpp"
#include "tools/remuda/bench/judgement.hpp"
#include "tools/remuda/bench/programs.hpp"
#include "tools/remuda/bench/results.hpp"
#include "tools/remuda/default_pool.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {
namespace {

namespace fs = std::filesystem;

constexpr int regression = 10;
constexpr int incomplete = 11;

struct bench_options {
  std::string filter;
  bool quick = false;
  bool json = false;
  std::string output, programs, from, measurements, profile;
};

/// A folder for what the programs write. It stays when the report could not be written: it took an hour to make.
class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (fs::temp_directory_path() / "remuda_bench_XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("cannot make the folder " + name + ": " + std::generic_category().message(errno));
    }
    path_ = name;
  }
  ~scratch_folder() {
    std::error_code ignored;
    if (!keep_) fs::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  const fs::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  fs::path path_;
  bool keep_ = false;
};

void check_filter(const std::string& filter) try {
  // as Google Benchmark reads it
  const std::regex compiled(filter.starts_with('-') ? filter.substr(1) : filter, std::regex::extended);
} catch (const std::regex_error&) {
  throw ending(wrong_use, "'" + filter + "' is not a regular expression");
}

std::string measurements_in(const std::string& file) try {
  return topo::to_json(topo::measurements_from_json(bench::read_text(file)));
} catch (const std::runtime_error& e) {
  throw ending(failed, fmt::format("--measurements: {}; `remuda measure --json` writes what is wanted", e.what()));
}

/// What the pools of the benchmark programs run with: not what this user's folder happens to hold.
/// Returns what the report says of it.
std::string use_profile(const std::string& file) {
  if (file.empty()) {
    ::setenv("REMUDA_PROFILE", "", 1);
    return {};
  }
  const looked_at seen = look_at_profile(file);
  if (!seen.why_not.empty()) {
    throw ending(failed, fmt::format("--profile: {}: {}; `remuda tune -o FILE` writes one", one_line(file),
                                     one_line(seen.why_not)));
  }
  const fs::path path = fs::absolute(file);
  ::setenv("REMUDA_PROFILE", path.c_str(), 1);
  return fmt::format("{}, made at {}", path.filename().native(), seen.what->made_at);
}

void tell(const bench::report& r, bool json) {
  const std::string text = json ? bench::to_json(r) : bench::to_table(r, bench::judge(r));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void tell_where(const fs::path& folder) { fmt::print(stderr, "report: {}\n", (folder / "index.html").string()); }

void make_page_anew(const bench_options& o) {
  bench::report r = bench::read_report(o.from);
  if (!o.measurements.empty()) r.measurements = measurements_in(o.measurements);
  if (!o.output.empty()) {
    bench::new_folder folder(o.output);
    bench::write_report(folder.path(), r);
    folder.keep();
    bench::write_page(folder.path(), r);
    tell_where(folder.path());
  } else {
    const fs::path folder = fs::is_directory(o.from) ? fs::path(o.from) : fs::path(o.from).parent_path();
    if (!o.measurements.empty()) bench::write_report(folder, r);
    bench::write_page(folder, r);
    tell_where(folder);
  }
  if (o.json) tell(r, true);
}

/// Empty where all programs were measured, else what to say at the end.
std::string lost_programs(const bench::report& r) {
  std::string names;
  for (const auto& p : r.programs) {
    if (p.lost()) names += (names.empty() ? "" : ", ") + p.name + " (" + std::string(to_text(p.ended)) + ")";
  }
  return names;
}

void run_and_report(const bench_options& o) {
  check_filter(o.filter);
  bench::report r;
  r.quick = o.quick;
  r.filter = o.filter;
  if (!o.measurements.empty()) r.measurements = measurements_in(o.measurements);
  r.host.profile = use_profile(o.profile);
  const auto before = bench::look_at_host();
  r.taken_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::now()));
  // before anything is measured: an hour of measuring must not end in a folder that cannot be written
  bench::new_folder folder(o.output.empty() ? bench::default_folder(r.taken_at, before.host.cpu_model)
                                            : fs::path(o.output));
  scratch_folder scratch;
  bench::run_options run;
  run.programs = fs::absolute(o.programs.empty() ? bench::programs_beside_this_one() : fs::path(o.programs));
  run.results = scratch.path();
  run.filter = o.filter;
  run.quick = o.quick;
  try {
    bench::run_programs(r, run);
  } catch (const bench::interrupted& i) {
    throw ending(128 + i.signal, "interrupted; no report is written");
  }
  bench::record(r.host, before, bench::look_at_host());
  try {
    bench::write_report(folder.path(), r);
    folder.keep();
    bench::write_page(folder.path(), r);
  } catch (const ending& e) {
    scratch.keep();
    throw ending(failed, fmt::format("{}; what the programs wrote is kept in {}", e.what(), scratch.path().string()));
  }
  tell(r, o.json);
  tell_where(folder.path());
  if (const auto lost = lost_programs(r); !lost.empty()) throw ending(incomplete, "not measured: " + lost);
}

struct compare_options {
  std::string a, b;
  bool json = false;
  bool fail_on_regression = false;
};

void compare(const compare_options& o) {
  const auto c = bench::compare(bench::read_report(o.a), bench::read_report(o.b));
  const std::string text = o.json ? to_json(c) : to_text(c);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (o.fail_on_regression && c.regressed()) throw ending(regression, "remuda got worse, beyond noise");
}

CLI::App* add_compare(CLI::App& verb) {
  auto* sub = verb.add_subcommand("compare",
                                  "What changed from report A to report B: the medians of every contestant, the change "
                                  "in percent, and the interval\n"
                                  "that holds the true one in 99 of 100 cases, by the order of the rounds "
                                  "(Mann-Whitney). A change counts as better or\n"
                                  "worse only outside of that: with 5 rounds each, when the rounds do not overlap. "
                                  "Quick reports have too few rounds.");
  auto o = std::make_shared<compare_options>();
  sub->add_option("A", o->a, "report folder, or its report.json")->required();
  sub->add_option("B", o->b, "the same, to be compared with A")->required();
  sub->add_flag("--json", o->json, "one JSON document in place of the table");
  sub->add_flag("--fail-on-regression", o->fail_on_regression, "exit status 10 when remuda got worse beyond noise");
  sub->footer(
      "Examples:\n"
      "  remuda bench compare perf_reports/before perf_reports/after\n"
      "  remuda bench compare before/report.json after/report.json --fail-on-regression\n"
      "Exit status: 0 compared, whatever came out; 1 a report cannot be read; 2 wrong use; 10 see above.");
  sub->callback([o] { compare(*o); });
  return sub;
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "bench",
      "Runs the benchmark programs, one after the other, and writes a report folder: report.json and index.html, a "
      "page\n"
      "with plots that needs nothing else. Prints the table of medians. Each program takes some minutes, and is ended\n"
      "after 20. Other work on the machine makes the figures worthless.");
  auto o = std::make_shared<bench_options>();
  auto* filter =
      verb->add_option("FILTER", o->filter,
                       "only rows with names (ROW/CONTESTANT/round:N) that match this regular expression, and "
                       "the limits of the machine");
  auto* quick = verb->add_flag("--quick", o->quick, "fewer rounds and smaller ones: a look, not a measurement");
  verb->add_option("-o,--output", o->output, "folder for the report, new or empty; else perf_reports/DATE_TIME_CPU");
  auto* programs =
      verb->add_option("--programs", o->programs, "folder of the benchmark programs; else that of the build tree");
  verb->add_flag("--json", o->json, "print report.json in place of the table");
  auto* profile = verb->add_option("--profile", o->profile,
                                   "measure with the settings of this profile; else with those that are built in, "
                                   "whatever profile pools find here")
                      ->type_name("FILE");
  verb->add_option("--measurements", o->measurements,
                   "what `remuda measure --json` wrote: its core-to-core matrix comes on the page");
  verb->add_option("--from", o->from, "measure nothing: make the page of this report anew, in its own folder unless -o")
      ->excludes(filter)
      ->excludes(quick)
      ->excludes(programs)
      ->excludes(profile);
  auto* comparing = add_compare(*verb);
  verb->footer(
      "Examples:\n"
      "  remuda bench                               everything\n"
      "  remuda bench --quick 'round_trip' -o look  a look at some rows\n"
      "  remuda bench --from perf_reports/2026-11-26_2130_amd-epyc --measurements cores.json\n"
      "  remuda bench compare perf_reports/before perf_reports/after\n"
      "Exit status: 0 measured, whatever came out; 1 nothing is reported; 2 wrong use; 11 a program failed, took too "
      "long\n"
      "or is not there, and the rest is reported; 128 + N ended by signal N.");
  verb->callback([o, comparing] {
    if (comparing->parsed()) return;
    if (o->from.empty()) {
      run_and_report(*o);
    } else {
      make_page_anew(*o);
    }
  });
}

}  // namespace remuda::tool
