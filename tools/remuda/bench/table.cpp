// The report as text: a table for each row, medians over the rounds.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/remuda/bench/judgement.hpp"

namespace remuda::tool::bench {
namespace {

using cells = std::vector<std::string>;

/// What programs told, without what would move a terminal's cursor.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

void print(std::string& out, const std::vector<cells>& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const cells& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const cells& line : lines) {
    std::string text = fmt::format("  {:<{}}", line[0], widths[0]);
    for (std::size_t i = 1; i < line.size(); ++i) {
      // remarks end the line, and read from the left
      const bool last = i + 1 == line.size();
      text += last ? "   " + line[i] : fmt::format("   {:>{}}", line[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
}

std::string spread(const std::vector<double>& rounds) {
  const auto [low, high] = std::minmax_element(rounds.begin(), rounds.end());
  return number(*low) + " .. " + number(*high);
}

std::string of_median(const result& r, const std::string& column) {
  const auto value = r.median(column);
  return value ? number(*value) : "-";
}

void print_limits(std::string& out, const std::vector<const row*>& limits) {
  out += "what the machine can do\n";
  std::vector<cells> lines{{"", "p50", "p99", "spread of the rounds"}};
  for (const row* r : limits) {
    for (const result& each : r->results) {
      std::vector<std::string> columns;
      for (const char* c : {"p50_us", "p99_us", "ns"}) {
        if (each.values(c) != nullptr) columns.emplace_back(c);
      }
      if (columns.empty()) continue;
      std::string title = r->name + (each.contestant == "limit" ? "" : ", " + each.contestant);
      std::replace(title.begin(), title.end(), '_', ' ');
      const auto value = [&](std::size_t i) {
        return i < columns.size() ? fmt::format("{} {}", of_median(each, columns[i]), unit(columns[i])) : std::string();
      };
      lines.push_back({printable(title), value(0), value(1), spread(*each.values(columns[0]))});
    }
  }
  print(out, lines);
}

cells line_of(const standing& s, const result& r) {
  const std::string& main = s.column();
  cells line{printable(r.contestant)};
  for (const std::string& column : s.spec.columns) line.push_back(of_median(r, column));
  const auto value = r.median(main);
  const auto ratio = [&](const std::optional<mark>& to) {
    return value && to && to->value != 0 ? number(*value / to->value) : std::string();
  };
  if (s.limit) line.push_back(ratio(s.limit));
  line.push_back(ratio(s.best_other));
  const bool never = r.median("never").value_or(0) > 0;
  line.push_back(never ? "never ran" : value ? spread(*r.values(main)) : "");
  line.push_back(printable(r.rounds.empty() ? r.missing : remarks(r)));
  return line;
}

void print_row(std::string& out, const standing& s) {
  fmt::format_to(std::back_inserter(out), "\n{}\n", printable(s.spec.title));
  for (std::size_t i = 0; i < s.aims.size(); ++i) out += (i == 0 ? "  aim: " : ", ") + s.aims[i].text;
  if (!s.aims.empty()) out += '\n';
  if (s.limit) {
    fmt::format_to(std::back_inserter(out), "  limit: {} {} {}\n", s.limit->whose, number(s.limit->value),
                   unit(s.column()));
  }
  cells header{""};
  for (const std::string& column : s.spec.columns) header.push_back(label(column));
  if (s.limit) header.emplace_back("x limit");
  header.emplace_back("x best other");
  header.push_back("spread of " + label(s.column()));
  header.emplace_back("");
  std::vector<cells> lines{header};
  for (const result& r : s.measured->results) lines.push_back(line_of(s, r));
  print(out, lines);
  if (!s.spec.note.empty()) fmt::format_to(std::back_inserter(out), "  ({})\n", s.spec.note);
}

}  // namespace

std::string to_table(const report& r, const verdict& v) {
  std::string out;
  if (!v.limits.empty()) print_limits(out, v.limits);
  for (const standing& s : v.rows) print_row(out, s);
  if (const auto lost = losses(v); !lost.empty()) {
    out += "\nwhere another one is better\n";
    std::vector<cells> lines{{"", "", "remuda", "the best", "times", ""}};
    for (const loss& l : lost) {
      lines.push_back({printable(l.of->measured->name), label(l.column), number(l.own), number(l.other.value),
                       number(l.times), printable(l.other.whose) + (l.clear ? "" : " (the rounds overlap)")});
    }
    print(out, lines);
  }
  fmt::format_to(std::back_inserter(out), "\n{} aims reached, {} missed", v.reached, v.missed);
  const char* before = ": ";
  for (const standing& s : v.rows) {
    if (s.reached.value_or(true)) continue;
    out += before + s.measured->name;
    before = ", ";
  }
  out += '\n';
  for (const program_run& p : r.programs) {
    if (p.lost()) fmt::format_to(std::back_inserter(out), "{} {}: {}\n", p.name, to_text(p.ended), printable(p.detail));
  }
  return out;
}

}  // namespace remuda::tool::bench
