#include "tools/remuda/bench/line_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "tools/remuda/bench/rows.hpp"
#include "tools/remuda/bench/svg.hpp"

namespace remuda::tool::bench {
namespace {

// Of the palette of Okabe and Ito, which those can tell apart who do not see all colours. 0 is remuda's.
constexpr std::array<std::pair<std::string_view, unsigned>, 16> colours = {{{"remuda", 0},
                                                                            {"tbb", 1},
                                                                            {"asio", 2},
                                                                            {"std_async", 3},
                                                                            {"std_thread", 4},
                                                                            {"python", 5},
                                                                            {"shm_ring", 1},
                                                                            {"shm_futex", 2},
                                                                            {"pipe", 3},
                                                                            {"unix_socket", 4},
                                                                            {"posix_mq", 6},
                                                                            {"boost_mq", 7},
                                                                            {"fork", 1},
                                                                            {"memcpy", 6},
                                                                            {"exec", 2},
                                                                            {"posix_spawn", 3}}};
constexpr unsigned other_colour = 7;
constexpr unsigned dashes = 4;

constexpr double height = 300;
constexpr double plot_width = 330;
constexpr double left = 52;
constexpr double top = 14;
constexpr double bottom = height - 46;
constexpr std::size_t longest_name = 28;
constexpr double label_height = 13;

struct drawn {
  std::string name, css_class;
  std::vector<point> points;
};

void frame(drawing& d, const line_chart& c, const log_axis& y) {
  const double right = left + plot_width;
  for (const double value : y.ticks(7)) {
    d.line({left, y.at(value)}, {right, y.at(value)}, "grid");
    d.text({left - 6, y.at(value) + 4}, number(value), anchor::end, "tick");
  }
  for (const tick& t : c.ticks) {
    const double x = left + t.at * plot_width;
    d.line({x, bottom}, {x, bottom + 4}, "axis");
    d.text({x, bottom + 17}, t.text, anchor::middle, "tick");
  }
  d.line({left, bottom}, {right, bottom}, "axis");
  d.text({left + plot_width / 2, height - 8}, c.x_title, anchor::middle, "axis_title");
}

}  // namespace

std::string colour_class(std::string_view contestant, std::vector<unsigned>& uses) {
  const auto known = std::find_if(colours.begin(), colours.end(),
                                  [&](const auto& entry) { return contestant.starts_with(entry.first); });
  const unsigned colour = known == colours.end() ? other_colour : known->second;
  uses.resize(other_colour + 1);
  return fmt::format("s{} d{}", colour, uses[colour]++ % dashes);
}

std::string line_chart::draw() const {
  double low = 0;
  double high = 0;
  double label_width = 0;
  for (const series& s : lines) {
    for (const double value : s.values) {
      if (!(value > 0) || !std::isfinite(value)) continue;
      low = low == 0 ? value : std::min(low, value);
      high = std::max(high, value);
    }
    label_width = std::max(label_width, name_width(shortened(s.name, longest_name)));
  }
  if (high == 0) return {};
  const log_axis y(low, high, bottom, top);
  drawing d(id, left + plot_width + 30 + label_width, height, description);
  frame(d, *this, y);
  d.text({left - 6, height - 8}, unit, anchor::end, "axis_title");

  std::vector<drawn> all;
  std::vector<unsigned> uses;
  std::vector<double> ends;
  for (const series& s : lines) {
    drawn one{s.name, colour_class(s.name, uses), {}};
    for (std::size_t i = 0; i < ticks.size() && i < s.values.size(); ++i) {
      if (s.values[i] > 0 && std::isfinite(s.values[i])) {
        one.points.push_back({left + ticks[i].at * plot_width, y.at(s.values[i])});
      }
    }
    if (one.points.empty()) continue;
    ends.push_back(one.points.back().y);
    all.push_back(std::move(one));
  }
  const auto labels = spread_out(ends, label_height, top, bottom);
  // the first one, remuda, is drawn last: over the others
  for (std::size_t i = all.size(); i-- > 0;) {
    const drawn& one = all[i];
    d.path(one.points, "line " + one.css_class);
    const double x = left + plot_width + 14;
    d.path({one.points.back(), {x, labels[i]}, {x + 6, labels[i]}}, "leader " + one.css_class);
    d.text({x + 10, labels[i] + 4}, shortened(one.name, longest_name), anchor::start, "name");
  }
  for (std::size_t s = lines.size(); s-- > 0;) {
    const auto shown =
        std::find_if(all.begin(), all.end(), [&](const drawn& one) { return one.name == lines[s].name; });
    if (shown == all.end()) continue;
    for (std::size_t i = 0; i < ticks.size() && i < lines[s].values.size(); ++i) {
      const double value = lines[s].values[i];
      if (!(value > 0) || !std::isfinite(value)) continue;
      d.mark(shape::circle, {left + ticks[i].at * plot_width, y.at(value)}, shown->css_class,
             fmt::format("{}, {}: {} {}", lines[s].name, ticks[i].text, number(value), unit));
    }
  }
  return std::move(d).take();
}

}  // namespace remuda::tool::bench
