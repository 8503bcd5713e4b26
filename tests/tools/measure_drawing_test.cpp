// What `remuda measure` draws and writes, from made-up measurements.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "made_up_measurements.hpp"
#include "tools/remuda/measure/heat_map.hpp"
#include "tools/remuda/measure/report.hpp"

namespace remuda::tool {
namespace {

using topo::measurements;
using topo::summary;

// Two packages of so many CPUs each: 100 ns within, 300 ns between them.
measurements two_packages(std::size_t each) {
  measurements m;
  for (unsigned i = 0; i < 2 * each; ++i) m.cpus.push_back(i);
  m.core_to_core.resize(m.cpus.size() * m.cpus.size());
  for (std::size_t a = 0; a < m.cpus.size(); ++a) {
    for (std::size_t b = 0; b < m.cpus.size(); ++b) {
      if (a != b) m.core_to_core[a * m.cpus.size() + b] = steady(a / each == b / each ? 100 : 300);
    }
  }
  return m;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(MeasureHeatMap, SmallMatricesShowTheirValues) {
  const auto lines = lines_of(heat_map_text(two_packages(2), false, 80));
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[0], "      0   1   2   3");
  EXPECT_EQ(lines[1], "0     . 100 300 300");
  EXPECT_EQ(lines[4], "3   300 300 100   .");
  EXPECT_EQ(lines[5], "   from 100 to 300 ns");
}

TEST(MeasureHeatMap, LargeMatricesAreDigitsThatFitTheTerminal) {
  const std::string text = heat_map_text(two_packages(64), false, 80);
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), 65U);  // two CPUs a field
  for (std::size_t i = 0; i < 64; ++i) {
    ASSERT_EQ(lines[i].size(), 5U + 64U) << lines[i];
    const std::string near(32, '0'), far(32, '9');
    EXPECT_EQ(lines[i].substr(5), i < 32 ? near + far : far + near) << i;
  }
  EXPECT_EQ(lines[1].substr(0, 5), "  2  ");
  EXPECT_NE(lines[64].find("2 x 2 CPUs"), std::string::npos) << lines[64];
  EXPECT_NE(lines[64].find("9 = 300 ns"), std::string::npos) << lines[64];
}

TEST(MeasureHeatMap, FitsAnyWidth) {
  for (const std::size_t columns : {1U, 20U, 79U, 80U, 133U, 200U, 1000U}) {
    for (const std::size_t each : {1U, 3U, 17U, 64U}) {
      const auto lines = lines_of(heat_map_text(two_packages(each), false, columns));
      for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
        EXPECT_LE(lines[i].size(), std::max<std::size_t>(columns, 13)) << columns << ' ' << each << ": " << lines[i];
      }
    }
  }
}

TEST(MeasureHeatMap, ColoursTakeThePlaceOfDigits) {
  const std::string text = heat_map_text(two_packages(64), true, 80);
  EXPECT_EQ(count_of(text, "\x1b[48;5;"), 64U * 64U + 10U);
  EXPECT_EQ(count_of(text, "\x1b[0m"), count_of(text, "\x1b[48;5;"));
  EXPECT_EQ(heat_map_text(two_packages(64), false, 80).find('\x1b'), std::string::npos);
  EXPECT_NE(heat_map_text(two_packages(2), true, 80).find("100\x1b[0m"), std::string::npos);
}

TEST(MeasureHeatMap, ACloseFieldOfValuesIsNotPaintedInFullContrast) {
  measurements m = two_packages(2);
  for (summary& each : m.core_to_core) {
    if (each.repeats > 0) each.median = each.median > 200 ? 101 : 100;
  }
  const std::string text = heat_map_text(m, true, 80);
  EXPECT_EQ(count_of(text, "48;5;54;"), 1U) << "only in the legend";
}

TEST(MeasureHeatMap, NothingMeasuredIsNoMap) {
  EXPECT_EQ(heat_map_text({}, false, 80), "");
  measurements m;
  m.cpus = {0, 1};
  m.core_to_core.resize(4);
  EXPECT_EQ(heat_map_text(m, true, 80), "");
  EXPECT_NE(heat_map_svg({}).find("no pair"), std::string::npos);
  EXPECT_NE(heat_map_svg(m).find("no pair"), std::string::npos);
}

TEST(MeasureHeatMap, SvgHasAFieldForEachPairAndStandsAlone) {
  for (const std::size_t each : {1U, 4U, 64U}) {
    const std::string svg = heat_map_svg(two_packages(each));
    const std::size_t cpus = 2 * each;
    EXPECT_EQ(count_of(svg, "<rect "), cpus * cpus + 1 + 20);
    EXPECT_EQ(count_of(svg, "<title>CPU "), cpus * (cpus - 1));
    EXPECT_EQ(count_of(svg, "<rect "), count_of(svg, "</rect>") + 21);
    EXPECT_EQ(count_of(svg, "<text "), count_of(svg, "</text>"));
    EXPECT_EQ(count_of(svg, "http"), 1U) << "only the name of SVG itself";
    EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    EXPECT_EQ(count_of(svg, "href"), 0U);
  }
}

// --- report

TEST(MeasureReport, TellsAllThatWasMeasuredAndTheDoubts) {
  measurements m = quiet_machine();
  m.doubts = {"first reason", "second reason"};
  const std::string text = report_text(m, false, 80);
  for (const char* part : {"core to core", "100", "pause instruction", "17.0 ns", "waking a sleeper", "5000 ns",
                           "20.0 us", "50.0 us", "250 ns", "nearness l3", "memory latency, node 0 reads node 0",
                           "12.0 GB/s", "CPU 1", "0.20 %", "Measured in 20.0 s", "- first reason\n- second reason\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(report_text(quiet_machine(), false, 80).find("Reasons"), std::string::npos);
}

TEST(MeasureReport, LeavesOutWhatWasNotMeasured) {
  measurements m;
  m.pause = steady(17);
  const std::string text = report_text(m, false, 80);
  EXPECT_NE(text.find("pause"), std::string::npos);
  for (const char* part : {"core", "wake", "ring", "memory", "CPU"})
    EXPECT_EQ(text.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace remuda::tool
