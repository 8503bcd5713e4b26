#include "tools/remuda/bench/page_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tools/remuda/bench/conditions.hpp"
#include "tools/remuda/bench/svg.hpp"

namespace remuda::tool::bench {
namespace {

struct cell {
  std::string text;
  const char* css_class = "";
};

std::string with_micro(std::string text) {
  if (text == "us" || text.ends_with(" us")) text.replace(text.size() - 2, 2, "\u00b5s");
  return text;
}

std::string table_row(const std::vector<cell>& cells, const char* tag, const char* css_class = "") {
  std::string out = *css_class == '\0' ? "<tr>" : fmt::format("<tr class=\"{}\">", css_class);
  for (const cell& c : cells) {
    out += *c.css_class == '\0' ? fmt::format("<{}>", tag) : fmt::format("<{} class=\"{}\">", tag, c.css_class);
    out += escaped(c.text) + fmt::format("</{}>", tag);
  }
  return out + "</tr>\n";
}

/// Wider than the window, it scrolls by itself.
std::string table(const std::vector<cell>& header, const std::string& rows) {
  const auto head = header.empty() ? std::string() : "<thead>" + table_row(header, "th") + "</thead>";
  return "<div class=\"scroll\"><table>" + head + "<tbody>" + rows + "</tbody></table></div>\n";
}

std::string spread(const std::vector<double>& rounds) {
  const auto [low, high] = std::minmax_element(rounds.begin(), rounds.end());
  return number(*low) + " \u2013 " + number(*high);
}

std::string of_median(const result& r, const std::string& column) {
  const auto value = r.median(column);
  return value ? number(*value) : "";
}

std::string times(const std::optional<double>& value, const std::optional<mark>& of) {
  return value && of && of->value != 0 ? number(*value / of->value) : "";
}

std::string contestants_table(const standing& s) {
  std::vector<cell> header{{""}};
  for (const auto& column : s.spec.columns) header.push_back({page_label(column)});
  if (s.limit) header.push_back({"\u00d7 limit"});
  header.push_back({"\u00d7 best other"});
  header.push_back({"spread of " + page_label(s.column())});
  header.push_back({"", "text"});
  std::string rows;
  for (const result& r : s.measured->results) {
    std::vector<cell> line{{r.contestant, "name"}};
    for (const auto& column : s.spec.columns) line.push_back({of_median(r, column)});
    const auto value = r.median(s.column());
    if (s.limit) line.push_back({times(value, s.limit)});
    line.push_back({times(value, s.best_other)});
    const bool never = r.median("never").value_or(0) > 0;
    line.push_back({never ? "never ran" : value ? spread(*r.values(s.column())) : ""});
    line.push_back({r.rounds.empty() ? r.missing : remarks(r), "text wrap"});
    rows += table_row(line, "td", r.contestant == subject ? "own" : "");
  }
  return table(header, rows);
}

}  // namespace

std::string page_label(std::string_view column) { return with_micro(label(column)); }

std::string losses_table(const std::vector<loss>& lost) {
  std::string rows;
  for (const loss& l : lost) {
    const auto unit_text = with_micro(std::string(unit(l.column)));
    const auto with_unit = [&](double value) { return number(value) + (unit_text.empty() ? "" : " " + unit_text); };
    rows += table_row({{l.of->measured->name, "name"},
                       {page_label(l.column), "text"},
                       {with_unit(l.own)},
                       {with_unit(l.other.value)},
                       {l.other.whose, "name"},
                       {std::isfinite(l.times) ? number(l.times) + "\u00d7" : "\u2013"},
                       {l.clear ? "" : "the rounds overlap", "text"}},
                      "td");
  }
  return table({{"row"}, {"", "text"}, {"remuda"}, {"the best"}, {"who"}, {"better by"}, {"", "text"}}, rows);
}

std::string row_tables(const verdict& v) {
  std::string out;
  for (const standing& s : v.rows) {
    out += fmt::format("<h3>{}</h3>\n<p class=\"faint\"><code>{}</code>{}</p>\n", escaped(s.spec.title),
                       escaped(s.measured->name),
                       s.limit ? escaped(fmt::format("; limit: {}, {} {}", s.limit->whose, number(s.limit->value),
                                                     with_micro(std::string(unit(s.column())))))
                               : "");
    for (const aim& a : s.aims) {
      out += fmt::format("<p class=\"aim {}\">aim: {}</p>\n", a.reached ? (*a.reached ? "good" : "bad") : "",
                         escaped(a.text));
    }
    out += contestants_table(s);
    if (!s.spec.note.empty()) out += "<p class=\"note\">" + escaped(s.spec.note) + "</p>\n";
  }
  return out;
}

std::string limits_table(const verdict& v) {
  std::string rows;
  for (const row* r : v.limits) {
    for (const result& each : r->results) {
      std::vector<std::string> columns;
      for (const char* c : {"p50_us", "ns", "p99_us"}) {
        if (each.values(c) != nullptr) columns.emplace_back(c);
      }
      if (columns.empty()) continue;
      const auto value = [&](std::size_t i) {
        if (i >= columns.size()) return std::string();
        return of_median(each, columns[i]) + " " + with_micro(std::string(unit(columns[i])));
      };
      rows += table_row(
          {{r->name, "name"}, {each.contestant, "name"}, {value(0)}, {value(1)}, {spread(*each.values(columns[0]))}},
          "td");
    }
  }
  if (rows.empty()) return {};
  return table({{""}, {""}, {"median"}, {"p99"}, {"spread of the rounds"}}, rows);
}

std::string facts_table(const report& r) {
  std::string rows;
  for (const fact& f : facts(r)) rows += table_row({{f.name, "text"}, {f.value, "text wrap"}}, "td");
  for (const program_run& p : r.programs) {
    const std::string took = p.seconds > 0 ? fmt::format(", {:.0f} s", p.seconds) : "";
    rows += table_row({{"program " + p.name, "text"}, {std::string(to_text(p.ended)) + took, "text wrap"}}, "td");
  }
  return table({}, rows);
}

}  // namespace remuda::tool::bench
