// Reads what Google Benchmark writes: one run for each turn, named ROW/CONTESTANT/round:N, with its columns as
// counters.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tools/remuda/bench/results.hpp"

namespace remuda::tool::bench {
namespace {

using nlohmann::json;

// What Google Benchmark tells of every run, beside the counters.
constexpr std::array<std::string_view, 8> not_counters = {
    "real_time",        "cpu_time", "iterations",   "repetitions",
    "repetition_index", "threads",  "family_index", "per_family_instance_index"};

/// The text of a program that died breaks off in the middle of a run: the runs before that are whole.
json parse(const std::string& text, bool& whole) {
  json j = json::parse(text, nullptr, false);
  whole = !j.is_discarded();
  if (whole) return j;
  const auto last = text.rfind("\n    }");  // Google Benchmark's indentation of a run
  if (last != std::string::npos) j = json::parse(text.substr(0, last) + "}]}", nullptr, false);
  if (!j.is_discarded()) return j;
  if (text.find("\"context\"") == std::string::npos) throw std::runtime_error("no results of Google Benchmark");
  return json::object();
}

result& find_or_add(std::vector<row>& rows, const std::string& name, const std::string& contestant) {
  auto r = std::find_if(rows.begin(), rows.end(), [&](const row& each) { return each.name == name; });
  if (r == rows.end()) r = rows.insert(rows.end(), row{name, {}});
  auto& results = r->results;
  auto found =
      std::find_if(results.begin(), results.end(), [&](const result& each) { return each.contestant == contestant; });
  if (found != results.end()) return *found;
  result fresh;
  fresh.contestant = contestant;
  return results.emplace_back(std::move(fresh));
}

void add_run(std::vector<row>& rows, const json& run) {
  const auto& name = run.at("name").get_ref<const std::string&>();
  const auto first = name.find('/');
  const auto second = name.find('/', first == std::string::npos ? first : first + 1);
  if (second == std::string::npos) throw std::runtime_error("the name " + name + " is not ROW/CONTESTANT/round:N");
  result& to = find_or_add(rows, name.substr(0, first), name.substr(first + 1, second - first - 1));
  if (run.value("error_occurred", false)) {
    to.missing = run.value("error_message", "");
    ++to.times_missing;
    return;
  }
  for (const auto& [key, value] : run.items()) {
    if (value.is_number() && std::find(not_counters.begin(), not_counters.end(), key) == not_counters.end()) {
      to.rounds[key].push_back(value.get<double>());
    }
  }
}

}  // namespace

bool add_results(report& to, const std::string& text) try {
  bool whole = false;
  const json all = parse(text, whole);
  const json context = all.value("context", json::object());
  for (const auto& [key, into] :
       {std::pair{"compiler", &host_record::compiler}, std::pair{"build_type", &host_record::build_type},
        std::pair{"remuda_version", &host_record::version}}) {
    if (context.contains(key)) to.host.*into = context.at(key).get<std::string>();
  }
  for (const json& run : all.value("benchmarks", json::array())) add_run(to.rows, run);
  return whole;
} catch (const json::exception& e) {
  throw std::runtime_error(std::string("no results of Google Benchmark: ") + e.what());
}

}  // namespace remuda::tool::bench
