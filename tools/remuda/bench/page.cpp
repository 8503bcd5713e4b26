#include "tools/remuda/bench/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

#include "runtime/topo/measurements.hpp"
#include "tools/remuda/bench/conditions.hpp"
#include "tools/remuda/bench/judgement.hpp"
#include "tools/remuda/bench/page_style.hpp"
#include "tools/remuda/bench/page_tables.hpp"
#include "tools/remuda/bench/plots.hpp"
#include "tools/remuda/bench/svg.hpp"
#include "tools/remuda/measure/heat_map.hpp"

namespace remuda::tool::bench {
namespace {

template <class... Arguments>
void append(std::string& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

/// A plot under its caption; what is wider than the window scrolls by itself. Nothing for an empty plot.
std::string figure(const std::string& caption, const std::string& plot) {
  if (plot.empty()) return {};
  const std::string text = caption.empty() ? "" : "<figcaption>" + caption + "</figcaption>";
  return "<figure>" + text + "<div class=\"scroll\">" + plot + "</div></figure>\n";
}

/// A part of the page; it says so when there is nothing in it.
std::string section(const char* id, const char* title, const std::string& explanation, const std::string& contents) {
  return fmt::format("<section id=\"{}\"><h2>{}</h2>\n<p class=\"faint\">{}</p>\n{}</section>\n", id, title,
                     explanation,
                     contents.empty() ? "<p class=\"empty\">Nothing of this was measured.</p>\n" : contents);
}

std::string tile(const std::string& value, const std::string& text) {
  return "<div class=\"tile\"><b>" + escaped(value) + "</b><span>" + escaped(text) + "</span></div>";
}

std::string head(const report& r) {
  const std::string cpu = r.host.cpu_model.empty() ? "unknown CPU" : r.host.cpu_model;
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>remuda bench: {}, "
      "{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<main>\n<header>\n<h1>remuda bench: {}</h1>\n",
      escaped(cpu), escaped(r.taken_at), page_style, escaped(cpu));
  append(out, "<p class=\"faint\">{}{}{}. Medians over rounds in which all contestants take turns.</p>\n",
         escaped(r.taken_at), r.seconds > 0 ? fmt::format(", {:.0f} minutes", std::ceil(r.seconds / 60)) : "",
         r.filter.empty() ? "" : ", only rows that match <code>" + escaped(r.filter) + "</code>");
  out +=
      "<nav><a href=\"#losses\">Where another one is better</a><a href=\"#limit\">The machine&#39;s limit</a>"
      "<a href=\"#others\">The best other</a><a href=\"#curves\">Percentiles</a><a href=\"#ladder\">Reuse or spawn</a>"
      "<a href=\"#scaling\">Scaling</a><a href=\"#cores\">Cores</a><a href=\"#rows\">All rows</a>"
      "<a href=\"#limits\">Limits</a><a href=\"#host\">Conditions</a></nav>\n";
  return out + "</header>\n";
}

std::string summary(const verdict& v, const std::vector<loss>& lost) {
  unsigned compared = 0;
  unsigned ahead = 0;
  for (const standing& s : v.rows) {
    const result* own = s.measured->find(subject);
    if (own == nullptr || !s.best_other || !own->median(s.column())) continue;
    ++compared;
    const double value = *own->median(s.column());
    if (s.spec.at_least ? value >= s.best_other->value : value <= s.best_other->value) ++ahead;
  }
  std::string out = "<div class=\"tiles\">";
  out += tile(fmt::format("{} of {}", v.reached, v.reached + v.missed), "rows reach all their aims");
  out += tile(fmt::format("{} of {}", ahead, compared), "rows in which nobody else is better");
  const auto worst = std::find_if(lost.begin(), lost.end(), [](const loss& l) { return l.clear; });
  if (worst == lost.end()) {
    out += tile("0", "columns in which another one is clearly better");
  } else {
    out += tile(number(worst->times) + "\u00d7",
                "largest clear loss: " + shortened(worst->of->measured->name, 40) + ", " + page_label(worst->column));
  }
  return out + "</div>\n";
}

std::string warnings(const report& r) {
  auto all = doubts(r);
  for (const program_run& p : r.programs) {
    if (!p.lost()) continue;
    all.push_back(fmt::format("{} {}{}{}. What it had measured until then is shown.", p.name, to_text(p.ended),
                              p.detail.empty() ? "" : ": ", p.detail));
  }
  if (all.empty()) return {};
  std::string out = "<ul class=\"doubts\">";
  for (const auto& text : all) out += "<li>" + escaped(text) + "</li>";
  return out + "</ul>\n";
}

std::string curves(const verdict& v) {
  std::string out;
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const standing& s = v.rows[i];
    if (s.measured->name == "reuse_vs_spawn") continue;  // the ladder shows it
    out += figure("<b>" + escaped(s.measured->name) + "</b><br>" + escaped(s.spec.title),
                  percentile_plot(fmt::format("curve-{}", i), s));
  }
  return out.empty() ? out : "<div class=\"small\">" + out + "</div>\n";
}

std::string scaling_plots(const verdict& v) {
  std::string out;
  for (const scaling_series& s : scaling()) {
    out += figure(escaped(s.title), scaling_plot(std::string("scaling-") + s.name, s, v));
  }
  return out.empty() ? out : "<div class=\"small\">" + out + "</div>\n";
}

std::string ladder(const report& r) {
  const auto row = std::find_if(r.rows.begin(), r.rows.end(), [](const auto& e) { return e.name == "reuse_vs_spawn"; });
  return row == r.rows.end() ? std::string() : figure("", ladder_plot("ladder-plot", *row));
}

std::string cores(const report& r) {
  if (r.measurements.empty()) return {};
  try {
    const auto m = topo::measurements_from_json(r.measurements);
    return m.core_to_core.empty() ? std::string() : figure("", "<div id=\"core-plot\">" + heat_map_svg(m) + "</div>");
  } catch (const std::runtime_error& e) {
    return "<p>" + escaped(e.what()) + "</p>\n";
  }
}

}  // namespace

std::string to_page(const report& r) {
  const verdict v = judge(r);
  const auto lost = losses(v);
  std::string out = head(r);
  out += warnings(r);
  out += summary(v, lost);
  out += section(
      "losses", "Where another one is better",
      "Columns in which a peer has the better median, the largest loss first. Peers of which some tasks never ran, "
      "or ran in the thread that waits for them, are left out.",
      lost.empty() ? "<p>In no column that was measured.</p>\n" : losses_table(lost));
  out +=
      section("limit", "Times the limit of the machine",
              "What each row takes, in units of the bare mechanism that it rests on. Filled: remuda. Diamond: the best "
              "other contestant. Rings: all others.",
              figure("", ratio_plot("ratio-limit", v, true)));
  out += section(
      "others", "Times the best other contestant",
      "Left of the line remuda is better, but in <code>nested_wait</code>, where more is better. The same marks.",
      figure("", ratio_plot("ratio-others", v, false)));
  out += section(
      "curves", "Percentiles",
      "From the usual delay to the largest one. Time grows logarithmically; each nine of the percentile has the "
      "same width.",
      curves(v));
  out += section(
      "ladder", "Reuse or spawn",
      "An empty task, from a plain call to a program executed for it. Tasks longer than <i>even at</i> gain from "
      "another core; from <i>a tenth at</i> on the cost is at most a tenth of the whole.",
      ladder(r));
  out += section("scaling", "Scaling", "The same row with more workers or producers.", scaling_plots(v));
  out += section("cores", "Between the cores",
                 "Round trip of a cache line between each two CPUs, from <code>remuda measure</code>.", cores(r));
  out +=
      section("rows", "All rows",
              "Medians; the spread is from the lowest round to the highest one. remuda is set in bold.", row_tables(v));
  out += section("limits", "What the machine can do", "No pool, only the mechanism.", limits_table(v));
  out += section("host", "Conditions", "Looked at before and after the run.", facts_table(r));
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace remuda::tool::bench
