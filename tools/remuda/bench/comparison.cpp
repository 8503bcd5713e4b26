#include "tools/remuda/bench/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/remuda/bench/conditions.hpp"
#include "tools/remuda/bench/rows.hpp"
#include "tools/remuda/median.hpp"

namespace remuda::tool::bench {
namespace {

using json = nlohmann::ordered_json;

/// The column that two contestants are compared by, of those that both have; empty if there is none.
std::string column_of(const row_spec* spec, const result& a, const result& b) {
  std::vector<std::string> wanted{"p50_us", "ns"};
  if (spec != nullptr) wanted = {spec->columns.front()};
  for (const auto& [column, values] : a.rounds) wanted.push_back(column);
  const auto found = std::find_if(wanted.begin(), wanted.end(), [&](const std::string& c) {
    return a.values(c) != nullptr && b.values(c) != nullptr;
  });
  return found == wanted.end() ? std::string() : *found;
}

change compare(const std::string& row, const row_spec* spec, const std::string& column, const result& a,
               const result& b) {
  change c{row, a.contestant, column, *a.median(column), *b.median(column), {}, false, false};
  c.found = compare_rounds(*a.values(column), *b.values(column));
  const bool more_is_better = spec != nullptr && spec->at_least;
  c.better = c.found.found == (more_is_better ? finding::larger : finding::smaller);
  c.worse = c.found.found == (more_is_better ? finding::smaller : finding::larger);
  return c;
}

/// How far from no change, for the order.
double size(const change& c) {
  if (c.a == c.b) return 0;
  return c.a > 0 && c.b > 0 ? std::fabs(std::log(c.b / c.a)) : std::numeric_limits<double>::infinity();
}

std::vector<std::string> differing_conditions(const report& a, const report& b) {
  std::vector<std::string> all;
  const auto of_b = facts(b);
  const auto value_in = [](const std::vector<fact>& facts, const std::string& name) {
    const auto f = std::find_if(facts.begin(), facts.end(), [&](const fact& each) { return each.name == name; });
    return f == facts.end() ? std::string("not told") : f->value;
  };
  const auto of_a = facts(a);
  for (const fact& f : of_a) {
    const auto other = value_in(of_b, f.name);
    if (f.same_for_comparison && other != f.value) {
      all.push_back(fmt::format("the hosts differ in {}: {} | {}", f.name, f.value, other));
    }
  }
  for (const fact& f : of_b) {
    if (f.same_for_comparison && value_in(of_a, f.name) == "not told") {
      all.push_back(fmt::format("the hosts differ in {}: not told | {}", f.name, f.value));
    }
  }
  return all;
}

void add_doubts(std::vector<std::string>& to, const char* which, const report& r) {
  for (const std::string& d : doubts(r)) to.push_back(fmt::format("{}: {}", which, d));
}

const row* find(const report& r, const std::string& name) {
  const auto found = std::find_if(r.rows.begin(), r.rows.end(), [&](const row& each) { return each.name == name; });
  return found == r.rows.end() ? nullptr : &*found;
}

/// What of `r` has no counterpart.
std::vector<std::string> only_in(const report& r, const report& other) {
  std::vector<std::string> names;
  for (const row& each : r.rows) {
    const row* there = find(other, each.name);
    for (const result& c : each.results) {
      if (c.rounds.empty()) continue;
      const result* match = there == nullptr ? nullptr : there->find(c.contestant);
      if (match == nullptr || match->rounds.empty()) names.push_back(each.name + '/' + c.contestant);
    }
  }
  return names;
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

std::string percent_text(double ratio) { return fmt::format("{:+.1f} %", 100 * (ratio - 1)); }

std::string verdict_of(const change& c) {
  if (c.better) return "better";
  if (c.worse) return "worse";
  return c.found.found == finding::too_few_rounds ? "not enough rounds" : "within noise";
}

}  // namespace

std::optional<double> change::percent() const {
  if (a == b) return 0;
  if (!(a > 0)) return std::nullopt;
  return 100 * ((found.interval ? found.interval->ratio : b / a) - 1);
}

bool comparison::regressed() const {
  return std::any_of(changes.begin(), changes.end(),
                     [](const change& c) { return c.worse && c.contestant.starts_with(subject); });
}

comparison compare(const report& a, const report& b) {
  comparison all;
  std::vector<double> drifts;
  for (const row& of_a : a.rows) {
    const row* of_b = find(b, of_a.name);
    if (of_b == nullptr) continue;
    const row_spec* spec = find_spec(of_a.name);
    for (const result& before : of_a.results) {
      const result* after = of_b->find(before.contestant);
      const auto column = after == nullptr ? std::string() : column_of(spec, before, *after);
      if (column.empty()) continue;
      all.changes.push_back(compare(of_a.name, spec, column, before, *after));
      const auto percent = all.changes.back().percent();
      if (percent && !before.contestant.starts_with(subject)) drifts.push_back(*percent);
    }
  }
  std::stable_sort(all.changes.begin(), all.changes.end(),
                   [](const change& x, const change& y) { return size(x) > size(y); });
  if (!drifts.empty()) all.drift_percent = median(std::move(drifts));
  all.only_a = only_in(a, b);
  all.only_b = only_in(b, a);
  all.warnings = differing_conditions(a, b);
  add_doubts(all.warnings, "A", a);
  add_doubts(all.warnings, "B", b);
  return all;
}

std::string to_text(const comparison& c) {
  std::string out;
  const auto line = [&out](std::string text) {
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  for (const auto& w : c.warnings) line("warning: " + printable(w));
  if (!c.warnings.empty()) out += '\n';
  std::size_t widest = 4;
  for (const change& each : c.changes) {
    widest = std::max(widest, each.row.size() + each.contestant.size() + label(each.column).size() + 3);
  }
  line(fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}  {:>22}", "", widest, "A", "B", "change", "99 % interval"));
  for (const change& each : c.changes) {
    const auto name = printable(fmt::format("{}/{}, {}", each.row, each.contestant, label(each.column)));
    const auto percent = each.percent();
    const auto& i = each.found.interval;
    line(fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}  {:>22}  {}", name, widest, number(each.a), number(each.b),
                     percent ? fmt::format("{:+.1f} %", *percent) : "from 0",
                     i ? percent_text(i->low) + " .. " + percent_text(i->high) : "", verdict_of(each)));
  }
  if (c.changes.empty()) line("no row is in both");
  for (const auto& name : c.only_a) line("only in A: " + printable(name));
  for (const auto& name : c.only_b) line("only in B: " + printable(name));
  const auto better = std::count_if(c.changes.begin(), c.changes.end(), [](const change& x) { return x.better; });
  const auto worse = std::count_if(c.changes.begin(), c.changes.end(), [](const change& x) { return x.worse; });
  line(fmt::format("\n{} better and {} worse beyond noise, of {} compared", better, worse, c.changes.size()));
  if (c.drift_percent) {
    line(fmt::format("all that is not remuda changed by {:+.1f} % in the median: so much the machine itself did",
                     *c.drift_percent));
  }
  return out;
}

std::string to_json(const comparison& c) {
  json changes = json::array();
  for (const change& each : c.changes) {
    const auto percent = each.percent();
    const auto& i = each.found.interval;
    changes.push_back({{"row", each.row},
                       {"contestant", each.contestant},
                       {"column", each.column},
                       {"a", each.a},
                       {"b", each.b},
                       {"percent", percent ? json(*percent) : json()},
                       {"percent_low", i ? json(100 * (i->low - 1)) : json()},
                       {"percent_high", i ? json(100 * (i->high - 1)) : json()},
                       {"verdict", verdict_of(each)}});
  }
  const json all = {{"format", "remuda bench compare"},
                    {"version", 1},
                    {"confidence", confidence},
                    {"warnings", c.warnings},
                    {"regressed", c.regressed()},
                    {"drift_percent", c.drift_percent ? json(*c.drift_percent) : json()},
                    {"changes", std::move(changes)},
                    {"only_a", c.only_a},
                    {"only_b", c.only_b}};
  return all.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace remuda::tool::bench
