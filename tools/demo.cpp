// remuda-demo: a real job done six ways, so that anybody can see on their own machine what it costs to start a thread
// or a process for each task, and what it saves to keep workers.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "tools/demo_job/comparison.hpp"
#include "tools/demo_job/digest.hpp"
#include "tools/demo_job/files.hpp"
#include "tools/demo_job/one_process_each.hpp"
#include "tools/demo_job/progress.hpp"
#include "tools/demo_job/report.hpp"
#include "tools/demo_job/ways.hpp"

namespace {

constexpr const char* default_folder = "/usr/include";

enum class exit_status : int {
  good = 0,
  disagree = 1,
  usage = 2,
  incomplete = 3,
  nothing_to_do = 4,
  no_output = 5,
  no_resources = 6,
  no_descriptors = 7,
};

constexpr const char* footer = R"(Exit status:
  0  all files read, and the six ways agree
  1  the ways disagree on a file
  2  wrong usage, or DIR cannot be opened as a folder
  3  some files or folders could not be read or changed meanwhile; the others are in the report
  4  nothing to do: no files under DIR
  5  the output could not be written
  6  a pool cannot start: the system did not give what it needs (threads, processes, memory)
  7  a pool cannot start: too few descriptors; the pool of processes wants 5 for each worker and 16 more (ulimit -n)
Of several, the first in the order 5, 1, 3. In messages, bytes of a path that are not printable UTF-8 are escaped; in
JSON, those that are not UTF-8 are replaced by U+FFFD.)";

struct settings {
  std::string folder = default_folder;
  bool only_headers = true;
  std::optional<unsigned> workers;
  unsigned rounds = 3;
  /// Files for which a process each is started, each time: a millisecond and more each, and much more on a busy
  /// machine, so that all headers of a system would take minutes.
  unsigned process_each = 1000;
  std::string json;  // empty: none, "-": stdout
};

void say(const std::string& text) { fmt::print(stderr, "remuda-demo: {}\n", text); }

std::string text_of(int error) { return std::generic_category().message(error); }

/// Writes all of `text`, or says why not.
bool write(std::FILE* file, const std::string& text, const std::string& name) {
  if (std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0) return true;
  say(fmt::format("cannot write to {}: {}", name, text_of(errno)));
  return false;
}

bool write_stdout(const std::string& text) { return write(stdout, text, "standard output"); }

bool write_file(const std::string& path, const std::string& text) {
  const auto close = [](std::FILE* f) { std::fclose(f); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "we"), close);
  if (file != nullptr) return write(file.get(), text, demo::quoted(path));
  say(fmt::format("cannot open {}: {}", demo::quoted(path), text_of(errno)));
  return false;
}

/// Threads by the thousand may hold that many files open at once; the usual soft limit of 1024 would be in their way.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// What a pool of so many processes may have open here while it starts, beside what is open anyway.
constexpr int descriptors_for(unsigned workers) { return static_cast<int>(5 * workers + 16); }

/// Whether so many more descriptors can be had. Told before the work begins, not after the five ways that need fewer.
bool can_open(int descriptors) {
  std::vector<int> opened;
  while (std::ssize(opened) < descriptors) {
    const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) break;
    opened.push_back(fd);
  }
  for (const int fd : opened) ::close(fd);
  return std::ssize(opened) == descriptors;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

demo::cost median(const std::vector<demo::cost>& costs) {
  demo::cost result;
  for (const auto member : {&demo::cost::files, &demo::cost::wall, &demo::cost::cpu, &demo::cost::p50, &demo::cost::p99,
                            &demo::cost::created, &demo::cost::refused, &demo::cost::no_resources}) {
    std::vector<double> values(costs.size());
    std::transform(costs.begin(), costs.end(), values.begin(), [member](const demo::cost& c) { return c.*member; });
    result.*member = median(std::move(values));
  }
  return result;
}

demo::report measure(const settings& s, const std::vector<std::string>& paths, demo::progress& bar) {
  demo::report r;
  r.folder = s.folder;
  r.files = paths.size();
  r.rounds = s.rounds;
  r.usable_cpus = remuda::detect_topology().usable();
  r.workers = s.workers.value_or(r.usable_cpus);  // as the pool itself would choose

  // what each way does: all files, or the chosen ones
  const auto all = demo::evenly_spread(paths.size(), paths.size());
  const auto few = demo::evenly_spread(s.process_each, paths.size());
  std::vector<std::string> few_paths(few.size());
  std::transform(few.begin(), few.end(), few_paths.begin(), [&paths](std::size_t i) { return paths[i]; });
  const auto has_few = [](demo::way w) { return demo::of_processes(w) && !demo::of_pool(w); };

  std::size_t tasks = 0;
  for (const demo::way w : demo::all_ways) tasks += s.rounds * (has_few(w) ? few : all).size();
  bar.expect(paths.size() + 2 * tasks);
  bar.phase("reading all files once, so that all ways find them in memory");
  for (const auto& path : paths) {
    demo::digest_file(path);
    bar.step();
  }

  demo::comparison comparison(paths.size());
  std::array<std::vector<demo::cost>, demo::all_ways.size()> costs;
  for (unsigned i = 0; i < s.rounds; ++i) {
    for (std::size_t turn = 0; turn < demo::all_ways.size(); ++turn) {
      // Each round begins with another way, so that none always comes first.
      const std::size_t index = (i + turn) % demo::all_ways.size();
      const demo::way way = demo::all_ways[index];
      bar.phase(fmt::format("{}, round {} of {}", demo::name_of(way), i + 1, s.rounds));
      const demo::round done = demo::run(way, has_few(way) ? few_paths : paths, r.workers, bar);
      comparison.add(done.digests, has_few(way) ? few : all);
      costs[index].push_back(done.paid);
    }
  }
  std::transform(costs.begin(), costs.end(), r.medians.begin(),
                 [](const std::vector<demo::cost>& c) { return median(c); });
  r.verdict = comparison.conclude(paths);
  return r;
}

exit_status run(const settings& s) {
  std::error_code error;
  if (const std::filesystem::directory_iterator probe(s.folder, error); error) {
    say(fmt::format("cannot open {} as a folder: {}", demo::quoted(s.folder), error.message()));
    return exit_status::usage;
  }
  demo::progress bar;
  bar.phase("files found");
  demo::file_list list = demo::find_files(s.folder, s.only_headers, [&bar](std::size_t) { bar.step(); });

  demo::report r;
  const unsigned workers = s.workers.value_or(remuda::detect_topology().usable());
  if (!list.paths.empty() && !can_open(descriptors_for(workers))) {
    bar.clear();
    say(fmt::format("{} worker processes need {} descriptors: raise the limit (ulimit -n), or ask for fewer --workers",
                    workers, descriptors_for(workers)));
    return exit_status::no_descriptors;
  }
  if (!list.paths.empty()) r = measure(s, list.paths, bar);
  bar.clear();
  r.skipped = list.skipped;
  r.folders_unread = std::move(list.folders);

  std::fputs(demo::to_complaints(r).c_str(), stderr);
  if (r.files == 0) {
    say(fmt::format("nothing to do: no {} under {}", s.only_headers ? "headers" : "files", demo::quoted(s.folder)));
    return exit_status::nothing_to_do;
  }
  bool written = true;
  if (s.json != "-") written = write_stdout(demo::to_table(r));
  if (s.json == "-") {
    written = write_stdout(demo::to_json(r));
  } else if (!s.json.empty()) {
    written = write_file(s.json, demo::to_json(r)) && written;
  }
  if (!written) return exit_status::no_output;
  if (!r.verdict.disagreeing.empty()) return exit_status::disagree;
  const bool complete = r.folders_unread.empty() && r.verdict.unread.empty() && r.verdict.changed.empty();
  return complete ? exit_status::good : exit_status::incomplete;
}

/// What the command line says; or, when there is nothing to run, the exit status.
std::optional<exit_status> parse(int argc, char** argv, settings& s) {
  CLI::App app{
      "Computes a checksum and a word count of every file under DIR, with a std::thread, with\n"
      "std::async, with fork() and with posix_spawn() for each file, and with remuda's pools of threads and of\n"
      "processes, and prints what each of them costs and what the pools save."};
  app.name("remuda-demo");
  app.footer(footer);
  app.set_version_flag("--version", "remuda-demo " REMUDA_VERSION);
  const auto* folder = app.add_option(
      "DIR", s.folder,
      std::string("Folder with the files; without it, the headers of C and C++ under ") + default_folder);
  app.add_option("--json", s.json,
                 "Also write a report in JSON to this file; - writes it to stdout, instead of the table")
      ->type_name("FILE");
  unsigned workers = 0;
  const auto* workers_given =
      app.add_option("--workers", workers, "Workers of each pool; without it, one per usable core")
          ->check(CLI::Range(1U, std::min(remuda::thread_pool::max_workers, remuda::process_pool::max_workers)))
          ->type_name("N");
  app.add_option("--repeat", s.rounds, "Rounds, of which the medians are shown")
      ->check(CLI::Range(1U, 1000U))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--process-each", s.process_each,
                 "Start a process each for at most so many files, evenly spread, because it takes long; all other ways "
                 "do all files")
      ->check(CLI::Range(1U, std::numeric_limits<unsigned>::max()))
      ->type_name("N")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::ostringstream out;
    std::ostringstream err;
    const bool asked = app.exit(e, out, err) == 0;
    std::fputs(err.str().c_str(), stderr);
    if (!write_stdout(out.str())) return exit_status::no_output;
    return asked ? exit_status::good : exit_status::usage;
  }
  s.only_headers = folder->empty();
  if (!workers_given->empty()) s.workers = workers;
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  demo::serve_if_spawned(argc, argv);
  // A reader that went away is an output that cannot be written, with a message and a status of its own.
  std::signal(SIGPIPE, SIG_IGN);
  // Files opened later must not get the numbers of the standard streams.
  const bool has_stdout = ::fcntl(STDOUT_FILENO, F_GETFD) != -1;
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0 && fd <= STDERR_FILENO; fd = ::open("/dev/null", O_RDWR)) {
  }
  exit_status status = exit_status::no_resources;
  try {
    if (!has_stdout) {
      say("standard output is closed");
      return static_cast<int>(exit_status::no_output);
    }
    settings s;
    if (const auto end = parse(argc, argv, s)) return static_cast<int>(*end);
    allow_many_descriptors();
    status = run(s);
  } catch (const std::system_error& e) {
    const bool descriptors =
        e.code() == std::errc::too_many_files_open || e.code() == std::errc::too_many_files_open_in_system;
    if (descriptors) status = exit_status::no_descriptors;
    say(fmt::format("gave up: {}", e.what()));
  } catch (const std::exception& e) {
    say(fmt::format("gave up: {}", e.what()));
  }
  return static_cast<int>(status);
}
