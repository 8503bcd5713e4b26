// report.json. What was measured is under "rows" as rounds; "median", "limit", "best_other" and "aims" follow from it
// and are for scripts: they are made anew from the rounds when a report is read.
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tools/remuda/bench/judgement.hpp"
#include "tools/remuda/median.hpp"

namespace remuda::tool::bench {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* format_name = "remuda bench report";
constexpr int format_version = 1;
constexpr int deepest = 32;

template <class T>
json optional_json(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

template <class T>
void read(const json& from, const char* key, std::optional<T>& value) {
  if (!from.at(key).is_null()) value = from.at(key).get<T>();
}

json mark_json(const std::optional<mark>& m) { return m ? json{{"whose", m->whose}, {"value", m->value}} : json(); }

json host_json(const host_record& h) {
  return {{"cpu_model", h.cpu_model},
          {"kernel", h.kernel},
          {"hypervisor", h.hypervisor},
          {"usable_cpus", h.usable_cpus},
          {"cpu_quota", optional_json(h.cpu_quota)},
          {"governors", h.governors},
          {"frequency_driver", h.frequency_driver},
          {"boost", optional_json(h.boost)},
          {"smt_active", optional_json(h.smt_active)},
          {"clock_source", h.clock_source},
          {"transparent_huge_pages", h.transparent_huge_pages},
          {"memory_bytes", h.memory_bytes},
          {"load_before", h.load_before},
          {"load_after", h.load_after},
          {"steal_share", optional_json(h.steal_share)},
          {"throttled_ms", optional_json(h.throttled_ms)},
          {"profile", h.profile},
          {"compiler", h.compiler},
          {"build_type", h.build_type},
          {"version", h.version}};
}

host_record host_from(const json& j) {
  host_record h;
  h.cpu_model = j.at("cpu_model");
  h.kernel = j.at("kernel");
  h.hypervisor = j.at("hypervisor");
  h.usable_cpus = j.at("usable_cpus");
  read(j, "cpu_quota", h.cpu_quota);
  h.governors = j.at("governors").get<std::vector<std::string>>();
  h.frequency_driver = j.at("frequency_driver");
  read(j, "boost", h.boost);
  read(j, "smt_active", h.smt_active);
  h.clock_source = j.at("clock_source");
  h.transparent_huge_pages = j.at("transparent_huge_pages");
  h.memory_bytes = j.at("memory_bytes");
  h.load_before = j.at("load_before");
  h.load_after = j.at("load_after");
  read(j, "steal_share", h.steal_share);
  read(j, "throttled_ms", h.throttled_ms);
  h.profile = j.value("profile", "");  // the first reports do not tell: they were made without
  h.compiler = j.at("compiler");
  h.build_type = j.at("build_type");
  h.version = j.at("version");
  return h;
}

json contestants_json(const row& r) {
  json all = json::array();
  for (const result& each : r.results) {
    json medians = json::object();
    for (const auto& [column, rounds] : each.rounds) {
      if (!rounds.empty()) medians[column] = median(rounds);
    }
    all.push_back({{"name", each.contestant},
                   {"missing", each.missing},
                   {"times_missing", each.times_missing},
                   {"rounds", each.rounds},
                   {"median", std::move(medians)}});
  }
  return all;
}

json row_json(const row& r, const verdict& v) {
  json j = {{"row", r.name}, {"contestants", contestants_json(r)}};
  for (const standing& s : v.rows) {
    if (s.measured != &r) continue;
    json aims = json::array();
    for (const aim& a : s.aims) aims.push_back({{"text", a.text}, {"reached", optional_json(a.reached)}});
    j["title"] = s.spec.title;
    j["compared"] = s.column();
    j["limit"] = mark_json(s.limit);
    j["best_other"] = mark_json(s.best_other);
    j["aims"] = std::move(aims);
    j["reached"] = optional_json(s.reached);
  }
  return j;
}

program_run::state state_from(const std::string& text) {
  using state = program_run::state;
  for (const state s : {state::measured, state::nothing_matched, state::not_there, state::failed, state::timed_out}) {
    if (to_text(s) == text) return s;
  }
  throw std::runtime_error("a program cannot have ended as '" + text + "'");
}

row row_from(const json& j) {
  row r{j.at("row"), {}};
  for (const json& c : j.at("contestants")) {
    result each;
    each.contestant = c.at("name");
    each.missing = c.at("missing");
    each.times_missing = c.at("times_missing");
    for (const auto& [column, rounds] : c.at("rounds").items()) {
      // what was no number when it was written is null now
      auto& values = each.rounds[column];
      for (const json& value : rounds) values.push_back(value.is_null() ? std::nan("") : value.get<double>());
      if (values.empty()) each.rounds.erase(column);
    }
    r.results.push_back(std::move(each));
  }
  return r;
}

}  // namespace

std::string to_json(const report& r) {
  const verdict v = judge(r);
  json programs = json::array();
  for (const program_run& p : r.programs) {
    programs.push_back({{"name", p.name}, {"ended", to_text(p.ended)}, {"seconds", p.seconds}, {"detail", p.detail}});
  }
  json rows = json::array();
  for (const row& each : r.rows) rows.push_back(row_json(each, v));
  const json all = {{"format", format_name},
                    {"version", format_version},
                    {"taken_at", r.taken_at},
                    {"seconds", r.seconds},
                    {"quick", r.quick},
                    {"filter", r.filter},
                    {"host", host_json(r.host)},
                    {"programs", std::move(programs)},
                    {"aims_reached", v.reached},
                    {"aims_missed", v.missed},
                    {"measurements", r.measurements.empty() ? json() : json::parse(r.measurements)},
                    {"rows", std::move(rows)}};
  // what programs wrote need not be UTF-8
  return all.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

report report_from_json(const std::string& text) try {
  // what is nested deeper than any report would take as much stack when it is written again
  const json all = json::parse(text, [](int depth, json::parse_event_t, json&) {
    if (depth > deepest) throw std::runtime_error("a damaged report: nested too deep");
    return true;
  });
  if (!all.is_object() || all.value("format", "") != format_name) throw std::runtime_error("no report of remuda bench");
  if (all.at("version") != format_version) {
    throw std::runtime_error("a report of version " + all.at("version").dump() + "; this program knows version " +
                             std::to_string(format_version));
  }
  report r;
  r.taken_at = all.at("taken_at");
  r.seconds = all.at("seconds");
  r.quick = all.at("quick");
  r.filter = all.at("filter");
  r.host = host_from(all.at("host"));
  for (const json& p : all.at("programs")) {
    r.programs.push_back({p.at("name"), state_from(p.at("ended")), p.at("seconds"), p.at("detail")});
  }
  for (const json& j : all.at("rows")) r.rows.push_back(row_from(j));
  if (!all.at("measurements").is_null()) r.measurements = all.at("measurements").dump();
  return r;
} catch (const json::exception& e) {
  throw std::runtime_error(std::string("a damaged report: ") + e.what());
}

}  // namespace remuda::tool::bench
