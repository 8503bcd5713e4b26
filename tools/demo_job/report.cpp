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

const cost& pool_of(const report& r) { return r.medians[static_cast<std::size_t>(way::pool)]; }

std::string digits(double ms) { return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : 1); }

/// The median of an even number of counts may lie between two of them.
long long count(double median) { return std::llround(median); }

std::string times(double ratio) { return ratio > 0 ? fmt::format("{:.2f} x", ratio) : "-"; }

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
  constexpr auto row = "{:<12} {:>10} {:>10} {:>9} {:>11} {:>11} {:>10} {:>10}";
  line(row, "", "wall time", "CPU time", "threads", "task p50", "task p99", "wall time", "CPU time");
  line(row, "", "ms", "ms", "created", "ms", "ms", "of pool's", "of pool's");
  const cost& pool = pool_of(r);
  for (const way w : all_ways) {
    const cost& c = r.medians[static_cast<std::size_t>(w)];
    line(row, name_of(w), digits(c.wall), digits(c.cpu), count(c.threads), digits(c.p50), digits(c.p99),
         times(times_of_pool(c.wall, pool.wall)), times(times_of_pool(c.cpu, pool.cpu)));
  }
  line("");
  line("CPU time: user and system. Task: from its submission to its result. The pool's start and end are counted in;");
  line("its queue is bounded to {} tasks a worker, then the main line waits.", queued_per_worker);
  for (const way w : all_ways) {
    const cost& c = r.medians[static_cast<std::size_t>(w)];
    if (c.no_thread != 0) {
      line("{}: the system refused a thread {} times; these tasks waited until others had ended.", name_of(w),
           count(c.no_thread));
    }
    if (c.no_resources != 0) {
      line("{}: {} tasks ran a second time because the system was out of descriptors or memory.", name_of(w),
           count(c.no_resources));
    }
  }
  for (const way w : all_ways) {
    const cost& c = r.medians[static_cast<std::size_t>(w)];
    if (w == way::pool || c.wall <= 0 || c.cpu <= 0) continue;
    line("Reused threads against {}: wall time {:+.0f} %, CPU time {:+.0f} %.", name_of(w),
         100 * (pool.wall / c.wall - 1), 100 * (pool.cpu / c.cpu - 1));
  }
  const auto& v = r.verdict;
  if (v.disagreeing.empty())
    line("The three ways agree on the checksum and the word count of {} files.", v.names.size());
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
  j["ways"] = ordered_json::array();
  const cost& pool = pool_of(r);
  for (const way w : all_ways) {
    const cost& c = r.medians[static_cast<std::size_t>(w)];
    j["ways"].push_back({{"name", name_of(w)},
                         {"wall_ms", c.wall},
                         {"cpu_ms", c.cpu},
                         {"threads_created", count(c.threads)},
                         {"task_p50_ms", c.p50},
                         {"task_p99_ms", c.p99},
                         {"threads_refused", count(c.no_thread)},
                         {"tasks_repeated", count(c.no_resources)},
                         {"wall_times_pool", times_of_pool(c.wall, pool.wall)},
                         {"cpu_times_pool", times_of_pool(c.cpu, pool.cpu)}});
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
