#include "tools/remuda/bench/programs.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

#include "tools/remuda/bench/child.hpp"

namespace remuda::tool::bench {
namespace {

namespace fs = std::filesystem;
using state = program_run::state;

constexpr const char* limits = "limits";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

std::string minutes(double seconds) {
  const auto whole = static_cast<long>(seconds);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

/// The last lines that a program said, on one line.
std::string last_words(const fs::path& log) {
  std::string text = read_file(log);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  constexpr std::size_t enough = 300;
  if (text.size() > enough) text.erase(0, text.size() - enough);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// One program, from listing its turns to reading its results.
class turn {
 public:
  turn(const run_options& o, const std::string& name) : options_(o), run_{name, state::measured, 0, {}} {}

  /// How many turns it would have with this filter.
  void list() {
    const auto program = options_.programs / run_.name;
    if (access(program.c_str(), X_OK) != 0) {
      run_.ended = state::not_there;
      run_.detail = fmt::format("no program {}", program.string());
      return;
    }
    const auto out = options_.results / (run_.name + ".list");
    matching_ = list(options_.filter, out);
    // the limits are measured for the rows that need them
    turns_ = run_.name == limits && run_.ended == state::measured ? list({}, out) : matching_;
    if (run_.ended == state::measured && turns_ == 0) run_.ended = state::nothing_matched;
  }

  std::size_t matching() const { return matching_; }
  bool worth_running() const { return run_.ended == state::measured; }
  const program_run& run() const { return run_; }

  void measure(report& to, const std::string& place) {
    const auto log = options_.results / (run_.name + ".log");
    const auto out = options_.results / (run_.name + ".json");
    auto command = command_line(run_.name == limits ? std::string() : options_.filter);
    command.push_back("--benchmark_out_format=json");
    command.push_back("--benchmark_out=" + out.string());
    const bool on_terminal = isatty(STDERR_FILENO) == 1;
    const auto show = [&](double seconds) {
      const auto done = count(read_file(out), "\"run_name\":");
      fmt::print(stderr, "\r\033[K{} {}: {} of {} turns, {}", place, run_.name, done, turns_, minutes(seconds));
      std::fflush(stderr);
    };
    if (on_terminal) show(0);
    const ended e = run_to_end(command, log, options_.patience,
                               on_terminal ? std::function<void(double)>(show) : std::function<void(double)>());
    if (on_terminal) std::fputs("\r\033[K", stderr);
    if (e.way == ended::how::interrupted) throw interrupted{e.code};
    run_.seconds = e.seconds;
    conclude(e, log);
    read_results(to, out);
    fmt::print(stderr, "{} {}: {}{}{}, {}\n", place, run_.name, to_text(run_.ended), run_.detail.empty() ? "" : ", ",
               run_.detail, minutes(run_.seconds));
  }

 private:
  std::vector<std::string> command_line(const std::string& filter) const {
    std::vector<std::string> command{(options_.programs / run_.name).string()};
    if (options_.quick) command.emplace_back("--quick");
    command.push_back("--benchmark_filter=" + (filter.empty() ? "." : filter));
    return command;
  }

  std::size_t list(const std::string& filter, const fs::path& out) {
    std::error_code not_there;
    fs::remove(out, not_there);
    auto command = command_line(filter);
    command.emplace_back("--benchmark_list_tests=true");
    const ended e = run_to_end(command, out, std::min(options_.patience, std::chrono::duration<double>(60)));
    if (e.way == ended::how::interrupted) throw interrupted{e.code};
    if (!e.well()) {
      conclude(e, out);
      return 0;
    }
    return count(read_file(out), "/round:");
  }

  void conclude(const ended& e, const fs::path& log) {
    if (e.well()) return;
    run_.ended = e.way == ended::how::timed_out ? state::timed_out : state::failed;
    run_.detail = e.way == ended::how::timed_out ? fmt::format("ended after {} min", number_of_minutes()) : to_text(e);
    if (const auto words = last_words(log); e.way != ended::how::timed_out && !words.empty()) {
      run_.detail += ": " + words;
    }
  }

  std::string number_of_minutes() const { return fmt::format("{:.3g}", options_.patience.count() / 60); }

  void read_results(report& to, const fs::path& out) {
    const auto text = read_file(out);
    try {
      if (!text.empty() && add_results(to, text)) return;
      if (run_.ended == state::measured) {
        run_.ended = state::failed;
        run_.detail = "its results are not whole";
      }
    } catch (const std::runtime_error& e) {
      if (run_.ended == state::measured) run_.ended = state::failed;
      run_.detail += (run_.detail.empty() ? "" : "; ") + std::string(e.what());
    }
  }

  const run_options& options_;
  program_run run_;
  std::size_t matching_ = 0;
  std::size_t turns_ = 0;
};

}  // namespace

const std::vector<std::string>& program_names() {
  static const std::vector<std::string> names{limits,
                                              "thread_pool_latency",
                                              "thread_pool_throughput",
                                              "thread_pool_costs",
                                              "process_pool_latency",
                                              "process_pool_throughput",
                                              "process_pool_costs",
                                              "reuse_vs_spawn"};
  return names;
}

fs::path programs_beside_this_one() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown).parent_path().parent_path() / "bench";
}

void run_programs(report& to, const run_options& options) {
  std::vector<turn> turns;
  turns.reserve(program_names().size());
  std::size_t there = 0;
  std::size_t matching = 0;
  std::size_t lost = 0;
  for (const std::string& name : program_names()) {
    turn& t = turns.emplace_back(options, name);
    t.list();
    there += t.run().ended == state::not_there ? 0 : 1;
    matching += t.matching();
    lost += t.run().lost() && t.run().ended != state::not_there ? 1 : 0;
  }
  if (there == 0) {
    throw std::runtime_error(
        fmt::format("no benchmark program in {}; ./tools/bench builds and runs them, --programs DIR "
                    "says where they are",
                    options.programs.string()));
  }
  if (matching == 0 && lost == 0) {
    throw std::runtime_error(
        fmt::format("no row matches '{}'; for the names of rows run {}/NAME --benchmark_list_tests", options.filter,
                    options.programs.string()));
  }
  std::size_t at = 0;
  for (turn& t : turns) {
    ++at;
    if (t.worth_running()) t.measure(to, fmt::format("[{}/{}]", at, turns.size()));
    to.programs.push_back(t.run());
    to.seconds += t.run().seconds;
  }
}

}  // namespace remuda::tool::bench
