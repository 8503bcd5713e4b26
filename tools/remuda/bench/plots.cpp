#include "tools/remuda/bench/plots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tools/remuda/bench/line_chart.hpp"
#include "tools/remuda/bench/svg.hpp"

namespace remuda::tool::bench {
namespace {

constexpr double line_height = 24;
constexpr std::size_t longest_name = 30;

bool drawable(const std::optional<double>& value) { return value && std::isfinite(*value) && *value > 0; }

/// What a percentile is named, and where it stands: -log10(1 - p), so that each nine has the same width.
struct percentile {
  const char* column;
  const char* text;
  double nines;
};
constexpr percentile percentiles[] = {{"p10_us", "p10", 0.05}, {"p50_us", "p50", 0.3},  {"p90_us", "p90", 1},
                                      {"p99_us", "p99", 2},    {"p999_us", "p99.9", 3}, {"max_us", "max", 3.7}};

bool anyone_has(const row& r, std::string_view column) {
  return std::any_of(r.results.begin(), r.results.end(),
                     [column](const result& each) { return drawable(each.median(column)); });
}

std::vector<const percentile*> percentiles_of(const row& r) {
  std::vector<const percentile*> found;
  for (const percentile& p : percentiles) {
    if (anyone_has(r, p.column)) found.push_back(&p);
  }
  return found;
}

/// The frame of a plot with one line of marks for each name, and columns of text beside it.
class dot_plot {
 public:
  struct text_column {
    std::string title;
    double width;
  };

  dot_plot(std::string_view id, std::string_view description, const std::vector<std::string>& names, double low,
           double high, const std::string& axis_title, std::vector<text_column> columns)
      : columns_(std::move(columns)),
        names_end_(10 + widest(names)),
        bottom_(top + line_height * static_cast<double>(names.size())),
        x_(low, high, names_end_ + 14, names_end_ + 14 + plot_width),
        d_(id, names_end_ + 28 + plot_width + total(columns_), bottom_ + 44, description) {
    for (const double value : x_.ticks(9)) {
      d_.line({x_.at(value), top}, {x_.at(value), bottom_}, "grid");
      d_.text({x_.at(value), bottom_ + 17}, number(value), anchor::middle, "tick");
    }
    d_.text({names_end_ + 14 + plot_width / 2, bottom_ + 36}, axis_title, anchor::middle, "axis_title");
    for (std::size_t i = 0; i < names.size(); ++i) {
      d_.text({names_end_, y(i) + 4}, shortened(names[i], longest_name), anchor::end, "name");
      d_.line({x_.at(low), y(i)}, {x_.at(high), y(i)}, "guide");
    }
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      d_.text({column_end(c), top - 10}, columns_[c].title, anchor::end, "axis_title");
    }
  }

  double y(std::size_t line) const { return top + line_height * (static_cast<double>(line) + 0.5); }
  double x(double value) const { return x_.at(value); }
  drawing& canvas() { return d_; }
  void line_at(double value, std::string_view css_class) { d_.line({x(value), top}, {x(value), bottom_}, css_class); }
  void write(std::size_t line, std::size_t column, std::string_view text, std::string_view css_class) {
    d_.text({column_end(column), y(line) + 4}, text, anchor::end, css_class);
  }
  std::string take() && { return std::move(d_).take(); }

 private:
  static constexpr double top = 30;
  static constexpr double plot_width = 430;

  static double widest(const std::vector<std::string>& names) {
    double width = 60;
    for (const auto& name : names) width = std::max(width, name_width(shortened(name, longest_name)));
    return width;
  }
  static double total(const std::vector<text_column>& columns) {
    double sum = 0;
    for (const auto& c : columns) sum += c.width;
    return sum;
  }
  double column_end(std::size_t column) const {
    double at = names_end_ + 20 + plot_width;
    for (std::size_t i = 0; i <= column; ++i) at += columns_[i].width;
    return at;
  }

  std::vector<text_column> columns_;
  double names_end_, bottom_;
  log_axis x_;
  drawing d_;
};

}  // namespace

std::string ratio_plot(std::string_view id, const verdict& v, bool to_limit) {
  std::vector<const standing*> shown;
  std::vector<std::string> names;
  double low = 1;
  double high = 1;
  const auto base_of = [to_limit](const standing& s) { return to_limit ? s.limit : s.best_other; };
  for (const standing& s : v.rows) {
    const auto base = base_of(s);
    if (!base || !(base->value > 0)) continue;
    bool any = false;
    for (const result& r : s.measured->results) {
      const auto value = r.median(s.column());
      if (!drawable(value)) continue;
      any = true;
      low = std::min(low, *value / base->value);
      high = std::max(high, *value / base->value);
    }
    if (!any) continue;
    shown.push_back(&s);
    names.push_back(s.measured->name);
  }
  if (shown.empty()) return {};
  dot_plot plot(id, to_limit ? "Ratios to the limit of the machine" : "Ratios to the best other contestant", names, low,
                high, to_limit ? "times the limit of the machine" : "times the best other contestant",
                {{"remuda", 70}, {to_limit ? "best other" : "the other", 70}, {"", 170}});
  plot.line_at(1, "one");
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const standing& s = *shown[i];
    const double base = base_of(s)->value;
    const auto put = [&](const result& r, shape sh, const char* css_class) {
      const auto value = r.median(s.column());
      if (!drawable(value)) return;
      const double ratio = *value / base;
      plot.canvas().mark(
          sh, {plot.x(ratio), plot.y(i)}, css_class,
          fmt::format("{}: {} {}, {} times", r.contestant, number(*value), unit(s.column()), number(ratio)));
      if (r.contestant == subject) plot.write(i, 0, number(ratio), "value strong");
    };
    for (const result& r : s.measured->results) {
      if (r.contestant != subject && !(s.best_other && s.best_other->whose == r.contestant))
        put(r, shape::ring, "peer");
    }
    if (s.best_other) {
      if (const result* best = s.measured->find(s.best_other->whose)) put(*best, shape::diamond, "s1");
      plot.write(i, 1, number(s.best_other->value / base), "value");
      plot.write(i, 2, shortened(s.best_other->whose, 24), "name faint");
    }
    if (const result* own = s.measured->find(subject)) put(*own, shape::circle, "s0");
  }
  return std::move(plot).take();
}

bool has_curve(const standing& s) { return percentiles_of(*s.measured).size() >= 3; }

std::string percentile_plot(std::string_view id, const standing& s) {
  if (!has_curve(s)) return {};
  line_chart chart{std::string(id), "Percentiles: " + s.spec.title, "percentile of the delay", {}, "\u00b5s", {}};
  const auto found = percentiles_of(*s.measured);
  const double first = found.front()->nines;
  const double width = found.back()->nines - first;
  for (const percentile* p : found) chart.ticks.push_back({(p->nines - first) / width, p->text});
  for (const result& r : s.measured->results) {
    series one{r.contestant, {}};
    for (const percentile* p : found) one.values.push_back(r.median(p->column).value_or(0));
    chart.lines.push_back(std::move(one));
  }
  return chart.draw();
}

std::string ladder_plot(std::string_view id, const row& r) {
  std::vector<const result*> rungs;
  for (const result& each : r.results) {
    if (drawable(each.median("p50_us"))) rungs.push_back(&each);
  }
  if (rungs.empty()) return {};
  std::stable_sort(rungs.begin(), rungs.end(),
                   [](const result* a, const result* b) { return *a->median("p50_us") < *b->median("p50_us"); });
  std::vector<std::string> names;
  double low = *rungs.front()->median("p50_us");
  double high = low;
  for (const result* each : rungs) {
    names.push_back(each->contestant);
    for (const char* column : {"p50_us", "p99_us", "tenth_at_us"}) {
      if (const auto value = each->median(column); drawable(value)) high = std::max(high, *value);
    }
  }
  dot_plot plot(id, "The cost of having an empty task done, and the length of task from which it pays", names, low,
                high, "\u00b5s; dot: the cost, bar: up to its p99, triangle: the cost is a tenth",
                {{"cost, \u00b5s", 80}, {"even at, \u00b5s", 90}, {"a tenth at, \u00b5s", 100}});
  for (std::size_t i = 0; i < rungs.size(); ++i) {
    const result& each = *rungs[i];
    const std::string css_class = each.contestant.starts_with(subject) ? "s0" : "s1";
    const double cost = *each.median("p50_us");
    if (const auto p99 = each.median("p99_us"); drawable(p99)) {
      plot.canvas().line({plot.x(cost), plot.y(i)}, {plot.x(std::max(*p99, cost)), plot.y(i)}, "whisker " + css_class);
    }
    plot.canvas().mark(shape::circle, {plot.x(cost), plot.y(i)}, css_class,
                       fmt::format("{}: {} us", each.contestant, number(cost)));
    plot.write(i, 0, number(cost), "value strong");
    const auto even = each.median("even_at_us");
    plot.write(i, 1, drawable(even) ? number(*even) : "never", "value");
    if (const auto tenth = each.median("tenth_at_us"); drawable(tenth)) {
      plot.canvas().mark(shape::triangle, {plot.x(*tenth), plot.y(i)}, css_class,
                         fmt::format("{}: a tenth of the whole for tasks of {} us", each.contestant, number(*tenth)));
      plot.write(i, 2, number(*tenth), "value");
    }
  }
  return std::move(plot).take();
}

std::string scaling_plot(std::string_view id, const scaling_series& of, const verdict& v) {
  std::vector<const standing*> found;
  line_chart chart{std::string(id), std::string(of.title) + " by " + of.axis, of.axis, {}, {}, {}};
  for (const auto& [count, name] : of.rows) {
    const auto s = std::find_if(v.rows.begin(), v.rows.end(),
                                [row = name](const standing& each) { return each.measured->name == row; });
    if (s == v.rows.end()) continue;
    found.push_back(&*s);
    chart.ticks.push_back({count, number(count)});
  }
  if (found.size() < 2) return {};
  const double first = chart.ticks.front().at;
  const double width = chart.ticks.back().at - first;
  for (tick& t : chart.ticks) t.at = 0.1 + 0.8 * (t.at - first) / width;
  chart.unit = unit(found.front()->column());
  for (const result& r : found.front()->measured->results) {
    series one{r.contestant, {}};
    for (const standing* s : found) {
      const result* there = s->measured->find(r.contestant);
      one.values.push_back(there == nullptr ? 0 : there->median(s->column()).value_or(0));
    }
    // one point alone tells nothing of how it grows
    if (std::count_if(one.values.begin(), one.values.end(), [](double y) { return y > 0; }) > 1) {
      chart.lines.push_back(std::move(one));
    }
  }
  return chart.draw();
}

}  // namespace remuda::tool::bench
