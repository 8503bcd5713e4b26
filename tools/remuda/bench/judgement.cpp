#include "tools/remuda/bench/judgement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "tools/remuda/median.hpp"

namespace remuda::tool::bench {
namespace {

row_spec spec_for(const row& r) {
  if (const row_spec* known = find_spec(r.name)) return *known;
  std::set<std::string> columns;
  for (const result& each : r.results) {
    for (const auto& [column, values] : each.rounds) columns.insert(column);
  }
  row_spec spec;
  spec.title = r.name;
  // what is compared first, if it has that
  for (const char* first : {"p50_us", "ns"}) {
    if (columns.erase(first) != 0) spec.columns.emplace_back(first);
  }
  spec.columns.insert(spec.columns.end(), columns.begin(), columns.end());
  if (spec.columns.empty()) spec.columns.emplace_back("ns");
  return spec;
}

std::optional<mark> limit_of(const row_spec& spec, const std::vector<row>& rows) {
  const auto slash = spec.limit.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto of = std::find_if(rows.begin(), rows.end(),
                               [&](const row& r) { return r.name == std::string_view(spec.limit).substr(0, slash); });
  if (of == rows.end()) return std::nullopt;
  const result* found = of->find(std::string_view(spec.limit).substr(slash + 1));
  const auto value = found == nullptr ? std::nullopt : found->median(spec.columns.front());
  if (!value) return std::nullopt;
  std::string whose = spec.limit;
  std::replace(whose.begin(), whose.end(), '_', ' ');
  whose.replace(slash, 1, ", ");
  return mark{std::move(whose), *value};
}

bool some_never_ran(const result& r) { return r.median("never").value_or(0) > 0; }

/// The best that others reached in a column.
std::optional<mark> best_of_others(const standing& s, const std::string& column) {
  const result* own = s.measured->find(subject);
  const bool helped = own != nullptr && in_caller(*own);
  std::optional<mark> best;
  for (const result& r : s.measured->results) {
    const auto value = r.median(column);
    if (!value || r.contestant.starts_with(subject) || some_never_ran(r) || (!helped && in_caller(r))) continue;
    if (s.spec.limit == s.measured->name + '/' + r.contestant) continue;
    if (!best || (s.spec.at_least ? *value > best->value : *value < best->value)) best = mark{r.contestant, *value};
  }
  return best;
}

void judge_aims(standing& s) {
  const result* own = s.measured->find(subject);
  auto aims = s.spec.aims;
  if (s.spec.aim_of_limit > 0 && s.limit) aims.emplace_back(s.column(), s.spec.aim_of_limit * s.limit->value);
  if (const auto& [base, more] = s.spec.aim_over; !base.empty()) {
    const result* of = s.measured->find(base);
    const auto value = of == nullptr ? std::nullopt : of->median(s.column());
    if (value) aims.emplace_back(s.column(), *value + more);
  }
  for (const auto& [column, bound] : aims) {
    aim a{fmt::format("{} {} {}", label(column), s.spec.at_least ? ">=" : "<=", number(bound)), std::nullopt};
    if (own != nullptr && own->values(column) != nullptr) {
      const double value = median(*own->values(column));
      a.reached = s.spec.at_least ? value >= bound : value <= bound;
      a.text += *a.reached ? " (reached)" : fmt::format(" (MISSED: {})", number(value));
      s.reached = s.reached.value_or(true) && *a.reached;
    }
    s.aims.push_back(std::move(a));
  }
}

/// Columns in which more or less is better or worse, unlike a share of tasks or a derived length.
bool is_judged(std::string_view column) {
  return column != "elsewhere" && column != "never" && column != "even_at_us" && column != "tenth_at_us";
}

double times_better(double own, double other, bool at_least) {
  if (at_least) std::swap(own, other);
  return other > 0 ? own / other : std::numeric_limits<double>::infinity();
}

/// Whether no round of the one lies among those of the other.
bool apart(const result& a, const result& b, const std::string& column) {
  const auto [a_low, a_high] = std::minmax_element(a.values(column)->begin(), a.values(column)->end());
  const auto [b_low, b_high] = std::minmax_element(b.values(column)->begin(), b.values(column)->end());
  return *a_high < *b_low || *b_high < *a_low;
}

}  // namespace

bool in_caller(const result& r) { return r.median("elsewhere").value_or(1) < 0.5; }

std::string remarks(const result& r) {
  std::string said;
  if (const double elsewhere = r.median("elsewhere").value_or(1); elsewhere < 0.01) {
    said = "ran in the caller";
  } else if (elsewhere < 0.99) {
    said = fmt::format("{:.0f}% ran in the caller", 100 * (1 - elsewhere));
  }
  if (r.times_missing > 0) {
    said += fmt::format("{}{} more round{}: {}", said.empty() ? "" : "; ", r.times_missing,
                        r.times_missing == 1 ? "" : "s", r.missing);
  }
  return said;
}

verdict judge(const report& all) {
  verdict v;
  for (const row& r : all.rows) {
    const bool has_subject = std::any_of(r.results.begin(), r.results.end(),
                                         [](const result& each) { return each.contestant.starts_with(subject); });
    if (!has_subject) {
      v.limits.push_back(&r);
      continue;
    }
    standing s;
    s.measured = &r;
    s.spec = spec_for(r);
    s.limit = limit_of(s.spec, all.rows);
    s.best_other = best_of_others(s, s.column());
    judge_aims(s);
    if (s.reached) ++(*s.reached ? v.reached : v.missed);
    v.rows.push_back(std::move(s));
  }
  return v;
}

std::vector<loss> losses(const verdict& v) {
  std::vector<loss> all;
  for (const standing& s : v.rows) {
    const result* own = s.measured->find(subject);
    if (own == nullptr) continue;
    for (const std::string& column : s.spec.columns) {
      const auto value = own->median(column);
      const auto best = is_judged(column) && value ? best_of_others(s, column) : std::nullopt;
      if (!best || !(s.spec.at_least ? best->value > *value : best->value < *value)) continue;
      all.push_back({&s, column, *value, *best, times_better(*value, best->value, s.spec.at_least),
                     apart(*own, *s.measured->find(best->whose), column)});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const loss& a, const loss& b) { return a.times > b.times; });
  return all;
}

}  // namespace remuda::tool::bench
