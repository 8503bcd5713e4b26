// The report page in a real browser: that every plot is there with all its points, that no text lies over another one
// or is cut off, that it can be read in the light and in the dark, and that names of rows are text whatever is in them.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/topo/measurements.hpp"
#include "tests/tools/run_program.hpp"
#include "tools/remuda/bench/folder.hpp"
#include "tools/remuda/bench/page.hpp"

namespace {

namespace fs = std::filesystem;
namespace bench = remuda::tool::bench;
using nlohmann::json;
using tools_test::read_file;
using tools_test::run_program;
using tools_test::temporary_folder;

const fs::path data = REMUDA_TEST_DATA;

/// Path of a browser; empty where there is none.
std::string browser() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      if (::access((fs::path(folder) / name).c_str(), X_OK) == 0) return fs::path(folder) / name;
    }
  }
  return {};
}

class report_page : public testing::Test {
 protected:
  void SetUp() override {
    if (browser().empty()) GTEST_SKIP() << "there is no chromium here";
  }
};

/// Opens a page in the browser and returns what report_page_check.js saw.
json look_at(const std::string& page, int width, bool dark = false) {
  const temporary_folder folder;
  std::string checked = page;
  const auto at = checked.find("</title>");
  if (at == std::string::npos) return {};
  checked.insert(at + 8, "<script>" + read_file(data.parent_path() / "report_page_check.js") + "</script>");
  const auto file = folder.write("page.html", checked);
  const auto f =
      run_program({browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-extensions", "--disable-background-networking",
                   "--user-data-dir=" + (folder.path() / "profile").string(), "--hide-scrollbars",
                   std::string("--blink-settings=preferredColorScheme=") + (dark ? "0" : "1"),
                   "--window-size=" + std::to_string(width) + ",900", "--dump-dom", "file://" + file.string()});
  const std::string opening = "<script type=\"application/json\" id=\"verdict\">";
  const auto from = f.out.find(opening);
  if (from == std::string::npos) {
    ADD_FAILURE() << "the browser did not get to the end: " << f.err.substr(0, 2000);
    return {};
  }
  const auto begin = from + opening.size();
  return json::parse(f.out.substr(begin, f.out.find("</script>", begin) - begin));
}

bench::report made_up() {
  bench::report r = bench::read_report(data / "bench_report.json");
  remuda::topo::measurements m;
  m.cpus = {0, 1, 2, 3};
  m.core_to_core.resize(16);
  for (unsigned i = 0; i < 16; ++i) {
    if (i % 5 != 0) m.core_to_core[i] = {50.0 + 10 * i, 45.0 + 10 * i, 55.0 + 10 * i, 70.0 + 10 * i, 9};
  }
  r.measurements = remuda::topo::to_json(m);
  return r;
}

const bench::row& row_of(const bench::report& r, const std::string& name) {
  return *std::find_if(r.rows.begin(), r.rows.end(), [&](const auto& row) { return row.name == name; });
}

std::size_t points(const bench::row& r, const std::vector<const char*>& columns) {
  std::size_t n = 0;
  for (const auto& each : r.results) {
    n += static_cast<std::size_t>(
        std::count_if(columns.begin(), columns.end(), [&](const char* c) { return each.median(c).value_or(0) > 0; }));
  }
  return n;
}

void expect_well_made(const json& seen) {
  for (const char* complaints : {"errors", "overlaps", "outside", "overflowing", "faint", "resources"}) {
    EXPECT_EQ(seen.at(complaints), json::array()) << complaints;
  }
  EXPECT_EQ(seen.at("scripts"), 0);
  EXPECT_EQ(seen.at("hacked"), false);
  EXPECT_LE(seen.at("page_width"), seen.at("window_width"));
  for (const auto& [id, plot] : seen.at("plots").items()) {
    EXPECT_GT(plot.at("width"), 100) << id;
    EXPECT_GT(plot.at("height"), 100) << id;
  }
}

TEST_F(report_page, every_plot_is_there_with_all_its_points) {
  const auto r = made_up();
  const json seen = look_at(bench::to_page(r), 1280);
  ASSERT_FALSE(seen.is_null());
  expect_well_made(seen);
  EXPECT_EQ(seen.at("dark"), false);
  EXPECT_EQ(seen.at("scrolling"), json::array()) << "plots wider than the page";
  EXPECT_EQ(seen.at("empty_sections"), 0);
  const auto& plots = seen.at("plots");

  std::size_t curves = 0;
  const std::vector<const char*> percentiles{"p50_us", "p90_us", "p99_us", "p999_us", "max_us"};
  std::vector<std::size_t> expected, found;
  for (const auto& row : r.rows) {
    const bool judged = std::any_of(row.results.begin(), row.results.end(),
                                    [](const auto& c) { return c.contestant.starts_with("remuda"); });
    const auto n = points(row, percentiles);
    if (judged && n > 0 && row.name != "reuse_vs_spawn") expected.push_back(n);
  }
  for (const auto& [id, plot] : plots.items()) {
    if (id.starts_with("curve-")) found.push_back(plot.at("marks"));
    curves += id.starts_with("curve-") ? 1 : 0;
  }
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, expected);
  EXPECT_EQ(curves, expected.size());

  const auto& ladder = row_of(r, "reuse_vs_spawn");
  EXPECT_EQ(plots.at("ladder-plot").at("marks"), points(ladder, {"p50_us", "tenth_at_us"}));
  const std::size_t throughput = 6;  // contestants, all in both rows
  EXPECT_EQ(plots.at("scaling-workers").at("marks"), 2 * throughput);
  EXPECT_EQ(plots.at("scaling-producers").at("marks"), 2 * throughput);
  EXPECT_EQ(plots.at("scaling-processes").at("marks"), 2 * 2) << "remuda and python_fork are in both rows";
  EXPECT_EQ(plots.at("core-plot").at("fields"), 12);

  std::size_t against_limit = 0;
  for (const char* name : {"round_trip_hot", "round_trip_hot_2_workers", "round_trip_1ms", "process_round_trip_hot"}) {
    against_limit += points(row_of(r, name), {"p50_us"});
  }
  for (const char* name : {"one_producer", "one_producer_2_workers", "two_producers", "process_stream"}) {
    against_limit += points(row_of(r, name), {"ns"});
  }
  EXPECT_EQ(plots.at("ratio-limit").at("marks"), against_limit);
  EXPECT_GT(plots.at("ratio-others").at("marks"), against_limit);
}

TEST_F(report_page, can_be_read_in_the_dark) {
  const json seen = look_at(bench::to_page(made_up()), 1280, true);
  ASSERT_FALSE(seen.is_null());
  expect_well_made(seen);
  EXPECT_EQ(seen.at("dark"), true);
}

TEST_F(report_page, a_narrow_window_scrolls_plots_and_tables_only) {
  const json seen = look_at(bench::to_page(made_up()), 500);
  ASSERT_FALSE(seen.is_null());
  expect_well_made(seen);
  EXPECT_LE(seen.at("window_width"), 520);
}

TEST_F(report_page, a_report_of_nothing_is_a_page_that_says_so) {
  bench::report r;
  for (const char* name : {"limits", "reuse_vs_spawn"}) {
    r.programs.push_back(
        {name, bench::program_run::state::not_there, 0, "no program /some/where/" + std::string(200, 'x')});
  }
  const json seen = look_at(bench::to_page(r), 1280);
  ASSERT_FALSE(seen.is_null());
  expect_well_made(seen);
  EXPECT_EQ(seen.at("plots").size(), 0U);
  EXPECT_EQ(seen.at("empty_sections"), 8);
}

TEST(report_page_text, needs_nothing_from_outside_and_runs_nothing) {
  const auto page = bench::to_page(made_up());
  for (const char* never : {"<script", "<img", "<link", "@import", "url(", "<iframe", "onerror=\"", "onclick=\""}) {
    EXPECT_EQ(page.find(never), std::string::npos) << never;
  }
  EXPECT_NE(page.find("&lt;script&gt;window.hacked=1&lt;/script&gt;&amp;&quot;&#39;"), std::string::npos);
}

}  // namespace
