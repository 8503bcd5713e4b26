#include "tools/demo_job/report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <remuda/config.hpp>
#include <string_view>
#include <system_error>
#include <utility>

namespace demo {
namespace {

std::string text_of(int error) { return std::generic_category().message(error); }

std::uint64_t total_bytes(const report& r) {
  const auto& all = r.verdict.digests;
  return std::accumulate(all.begin(), all.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const digest& d) { return sum + d.bytes; });
}

const cost& cost_of(const report& r, way w) { return r.medians[static_cast<std::size_t>(w)]; }

std::string digits(double ms) { return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : 1); }

/// The median of an even number of counts may lie between two of them.
long long count(double median) { return std::llround(median); }

/// Microseconds of a file, from the milliseconds of all that the way did.
double per_file(const cost& c, double ms) { return c.files > 0 ? 1e3 * ms / c.files : 0; }

/// Files that a way did that starts a process for each.
std::size_t files_of_processes(const report& r) {
  return static_cast<std::size_t>(cost_of(r, way::one_fork_each).files);
}

/// What reuse saves against starting a thread or process for each file. Negative: it costs more.
struct saving {
  double wall_percent, cpu_percent;
  double wall_us, cpu_us;  ///< of a file, microseconds
};

saving saving_against(const report& r, way w) {
  const cost& each = cost_of(r, w);
  const cost& pool = cost_of(r, pool_for(w));
  const auto percent = [](double of_each, double of_pool) { return of_each > 0 ? 100 * (1 - of_pool / of_each) : 0; };
  const double each_wall = per_file(each, each.wall);
  const double each_cpu = per_file(each, each.cpu);
  const double pool_wall = per_file(pool, pool.wall);
  const double pool_cpu = per_file(pool, pool.cpu);
  return {percent(each_wall, pool_wall), percent(each_cpu, pool_cpu), each_wall - pool_wall, each_cpu - pool_cpu};
}

/// `lines` complaints at most, and then how many there are more.
template <class Items, class Line>
void complain(std::string& out, const Items& items, Line line) {
  constexpr std::size_t lines = 20;
  std::size_t said = 0;
  for (const auto& item : items) {
    if (said++ == lines) {
      fmt::format_to(std::back_inserter(out), "remuda-demo: ... and {} more; --json names them all\n",
                     items.size() - lines);
      return;
    }
    fmt::format_to(std::back_inserter(out), "remuda-demo: {}\n", line(item));
  }
}

}  // namespace

double times_of_pool(double other, double pool) { return pool > 0 ? other / pool : 0; }

std::string quoted(const std::string& path) { return fmt::format("{:?}", path); }

std::string to_table(const report& r) {
  std::string out;
  const auto line = [&out]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
    out += '\n';
  };
  line("{} files under {}, {:.1f} MiB read; {} usable CPUs, median of {} rounds", r.files, quoted(r.folder),
       static_cast<double>(total_bytes(r)) / (1 << 20), r.usable_cpus, r.rounds);
  if (r.skipped != 0) line("({} entries are neither files nor folders, or links to folders: left out)", r.skipped);
  line("");
  constexpr auto row = "{:<20} {:>10} {:>10} {:>12} {:>12} {:>15} {:>10} {:>10}";
  line(row, "", "wall time", "CPU time", "wall time", "CPU time", "created", "task p50", "task p99");
  line(row, "", "ms", "ms", "us per file", "us per file", "", "ms", "ms");
  for (const way w : all_ways) {
    const cost& c = cost_of(r, w);
    line(row, name_of(w), digits(c.wall), digits(c.cpu), fmt::format("{:.1f}", per_file(c, c.wall)),
         fmt::format("{:.1f}", per_file(c, c.cpu)),
         fmt::format("{} {}", count(c.created), of_processes(w) ? "processes" : "threads"), digits(c.p50),
         digits(c.p99));
  }
  line("");
  line("CPU time: user and system, with all children. Task: from its submission to its result. A pool's start and end");
  line("are counted in, a process pool's zygote too. A pool of {} workers queues at most {} tasks, then the main line",
       r.workers, r.workers * queued_per_worker);
  line("waits; with a process for each file, at most {} are there at once.", r.workers * children_per_worker);
  if (files_of_processes(r) < r.files) {
    line("The two ways with a process for each file did only {} of them, evenly spread: compare per file.",
         files_of_processes(r));
  }
  for (const way w : all_ways) {
    const cost& c = cost_of(r, w);
    if (c.refused != 0) {
      line("{}: the system refused a {} {} times; these tasks waited until others had ended.", name_of(w),
           of_processes(w) ? "process" : "thread", count(c.refused));
    }
    if (c.no_resources != 0) {
      line("{}: {} tasks ran a second time because the system was out of descriptors or memory, or a process died.",
           name_of(w), count(c.no_resources));
    }
  }
  line("");
  constexpr auto saved = "{:<20} {:<14} {:>10} {:>10} {:>15} {:>15}";
  line(saved, "What reuse saves", "", "wall time", "CPU time", "wall time", "CPU time");
  line(saved, "against", "by", "%", "%", "us per file", "us per file");
  for (const way w : all_ways) {
    if (of_pool(w)) continue;
    const saving s = saving_against(r, w);
    line(saved, name_of(w), name_of(pool_for(w)), fmt::format("{:.0f}", s.wall_percent),
         fmt::format("{:.0f}", s.cpu_percent), fmt::format("{:.1f}", s.wall_us), fmt::format("{:.1f}", s.cpu_us));
  }
  line("");
  const auto& v = r.verdict;
  if (v.disagreeing.empty()) {
    line("The six ways agree on the checksum and the word count of {} files{}.", v.names.size(),
         files_of_processes(r) < r.files ? ", as far as each did them" : "");
  }
  return out;
}

std::string to_json(const report& r) {
  using nlohmann::ordered_json;
  ordered_json j;
  j["program"] = "remuda-demo";
  j["version"] = REMUDA_VERSION;
  j["folder"] = r.folder;
  j["files"] = r.files;
  j["bytes"] = total_bytes(r);
  j["skipped"] = r.skipped;
  j["workers"] = r.workers;
  j["usable_cpus"] = r.usable_cpus;
  j["rounds"] = r.rounds;
  j["processes_at_once"] = r.workers * children_per_worker;
  j["ways"] = ordered_json::array();
  j["savings"] = ordered_json::array();
  for (const way w : all_ways) {
    const cost& c = cost_of(r, w);
    const cost& pool = cost_of(r, pool_for(w));
    const std::string kind = of_processes(w) ? "processes" : "threads";
    j["ways"].push_back({{"name", name_of(w)},
                         {"files", count(c.files)},
                         {"wall_ms", c.wall},
                         {"cpu_ms", c.cpu},
                         {kind + "_created", count(c.created)},
                         {"task_p50_ms", c.p50},
                         {"task_p99_ms", c.p99},
                         {kind + "_refused", count(c.refused)},
                         {"tasks_repeated", count(c.no_resources)},
                         {"pool", name_of(pool_for(w))},
                         {"wall_times_pool", times_of_pool(per_file(c, c.wall), per_file(pool, pool.wall))},
                         {"cpu_times_pool", times_of_pool(per_file(c, c.cpu), per_file(pool, pool.cpu))}});
    if (of_pool(w)) continue;
    const saving s = saving_against(r, w);
    j["savings"].push_back({{"against", name_of(w)},
                            {"by", name_of(pool_for(w))},
                            {"wall_percent", s.wall_percent},
                            {"cpu_percent", s.cpu_percent},
                            {"wall_us_per_file", s.wall_us},
                            {"cpu_us_per_file", s.cpu_us}});
  }
  const auto& v = r.verdict;
  j["agree"] = v.disagreeing.empty();
  j["disagreeing"] = v.disagreeing;
  j["changed"] = v.changed;
  j["unread"] = ordered_json::array();
  for (const auto* problems : {&r.folders_unread, &v.unread}) {
    for (const problem& p : *problems) j["unread"].push_back({{"path", p.path}, {"error", text_of(p.error)}});
  }
  j["results"] = ordered_json::array();
  for (std::size_t i = 0; i < v.names.size(); ++i) {
    const digest& d = v.digests[i];
    j["results"].push_back(
        {{"path", v.names[i]}, {"bytes", d.bytes}, {"words", d.words}, {"crc32", fmt::format("{:08x}", d.crc32)}});
  }
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

std::string to_complaints(const report& r) {
  std::string out;
  complain(out, r.folders_unread,
           [](const problem& p) { return fmt::format("cannot list {}: {}", quoted(p.path), text_of(p.error)); });
  complain(out, r.verdict.unread,
           [](const problem& p) { return fmt::format("cannot read {}: {}", quoted(p.path), text_of(p.error)); });
  complain(out, r.verdict.changed,
           [](const std::string& path) { return fmt::format("{} changed meanwhile, not compared", quoted(path)); });
  complain(out, r.verdict.disagreeing,
           [](const std::string& path) { return fmt::format("the ways DISAGREE on {}", quoted(path)); });
  return out;
}

}  // namespace demo
