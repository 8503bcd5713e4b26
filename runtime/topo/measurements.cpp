// Measurements as JSON text. What is read back may be a file that somebody edited, cut or made up, and a tool decides
// by it: whatever is not as to_json() writes it is refused with its name, nothing is guessed. Members that are not
// known are passed over, so that a later program may say more without a new version.
#include "runtime/topo/measurements.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace remuda::topo {
namespace {

using json = nlohmann::json;

constexpr const char* kind = "remuda measurements";
constexpr unsigned version = 1;

// --- to text

// What was not measured is null, so that nobody takes its zeros for figures.
json text_of(const summary& s) {
  if (s.repeats == 0) return nullptr;
  return {{"median", s.median}, {"p10", s.p10}, {"p90", s.p90}, {"p99", s.p99}, {"repeats", s.repeats}};
}

json matrix_of(const measurements& m) {
  json rows = json::array();
  for (std::size_t row = 0; row < m.cpus.size(); ++row) {
    json& cells = rows.emplace_back(json::array());
    for (std::size_t column = 0; column < m.cpus.size(); ++column) {
      cells.push_back(text_of(m.core_to_core.at(row * m.cpus.size() + column)));
    }
  }
  return rows;
}

// --- from text

[[noreturn]] void refuse(const std::string& why) { throw std::runtime_error("not usable as measurements: " + why); }

const json& member(const json& of, const char* name) {
  if (!of.is_object()) refuse(std::string("an object with \"") + name + "\" was expected, there is " + of.type_name());
  const auto found = of.find(name);
  if (found == of.end()) refuse(std::string("\"") + name + "\" is missing");
  return *found;
}

const json& list(const json& of, const char* name) {
  const json& found = member(of, name);
  if (!found.is_array()) refuse(std::string("\"") + name + "\" is not a list");
  return found;
}

std::string string_in(const json& of, const char* name) {
  const json& found = member(of, name);
  if (!found.is_string()) refuse(std::string("\"") + name + "\" is not a text");
  return found.get<std::string>();
}

// All that is measured here is finite and not negative.
double number_in(const json& of, const char* name) {
  const json& found = member(of, name);
  if (!found.is_number()) refuse(std::string("\"") + name + "\" is not a number");
  const auto value = found.get<double>();
  if (!std::isfinite(value) || value < 0) refuse(std::string("\"") + name + "\" is negative or too large");
  return value;
}

unsigned count_of(const json& found, const char* name) {
  if (!found.is_number_unsigned() || found.get<std::uint64_t>() > std::numeric_limits<unsigned>::max()) {
    refuse(std::string("\"") + name + "\" is not a whole number from 0 to 4294967295");
  }
  return found.get<unsigned>();
}

unsigned count_in(const json& of, const char* name) { return count_of(member(of, name), name); }

summary summary_of(const json& found) {
  if (found.is_null()) return {};
  const summary s{number_in(found, "median"), number_in(found, "p10"), number_in(found, "p90"), number_in(found, "p99"),
                  count_in(found, "repeats")};
  if (s.repeats == 0) refuse("\"repeats\" is 0, where there should be null");
  if (s.p10 > s.median || s.median > s.p90 || s.p90 > s.p99) refuse("a \"median\" that is not between its percentiles");
  return s;
}

summary summary_in(const json& of, const char* name) { return summary_of(member(of, name)); }

std::vector<summary> matrix_in(const json& of, std::size_t width) {
  const json& rows = list(of, "core_to_core");
  // The figures may be left out as a whole, when pairs were not measured.
  if (rows.empty()) return {};
  if (rows.size() != width) refuse("\"core_to_core\" has not one row for each of \"cpus\"");
  std::vector<summary> cells;
  cells.reserve(width * width);
  for (const json& row : rows) {
    if (!row.is_array() || row.size() != width)
      refuse("a row of \"core_to_core\" has not one place for each of \"cpus\"");
    for (const json& cell : row) cells.push_back(summary_of(cell));
  }
  return cells;
}

measurements read(const json& text) {
  if (string_in(text, "kind") != kind) refuse(std::string("its \"kind\" is not \"") + kind + "\"");
  if (const unsigned found = count_in(text, "version"); found != version) {
    refuse("its version is " + std::to_string(found) + ", this program reads version " + std::to_string(version));
  }
  measurements m;
  m.taken_at = string_in(text, "taken_at");
  m.seconds = number_in(text, "seconds");

  const json& cpus = list(text, "cpus");
  m.cpus.reserve(cpus.size());
  for (const json& each : cpus) m.cpus.push_back(count_of(each, "cpus"));
  m.core_to_core = matrix_in(text, m.cpus.size());

  m.pause = summary_in(text, "pause");
  m.futex_call = summary_in(text, "futex_call");
  m.wake_hot = summary_in(text, "wake_hot");
  m.wake_cold = summary_in(text, "wake_cold");
  m.ring_round_trip = summary_in(text, "ring_round_trip");

  for (const json& each : list(text, "steals")) {
    m.steals.push_back({string_in(each, "nearness"), summary_in(each, "cost")});
  }
  for (const json& each : list(text, "memory")) {
    m.memory.push_back({count_in(each, "cpu_node"), count_in(each, "memory_node"), summary_in(each, "latency"),
                        summary_in(each, "bandwidth")});
  }
  for (const json& each : list(text, "jitter")) {
    m.jitter.push_back({count_in(each, "cpu"), number_in(each, "lost_share"), number_in(each, "longest_gap_ns"),
                        number_in(each, "gaps_per_second")});
    if (m.jitter.back().lost_share > 1) refuse("\"lost_share\" is more than 1");
  }
  for (const json& each : list(text, "doubts")) {
    if (!each.is_string()) refuse("one of the \"doubts\" is not a text");
    m.doubts.push_back(each.get<std::string>());
  }
  return m;
}

}  // namespace

std::string to_json(const measurements& m) {
  json text{{"kind", kind},
            {"version", version},
            {"taken_at", m.taken_at},
            {"seconds", m.seconds},
            {"cpus", m.cpus},
            {"core_to_core", m.core_to_core.empty() ? json::array() : matrix_of(m)},
            {"pause", text_of(m.pause)},
            {"futex_call", text_of(m.futex_call)},
            {"wake_hot", text_of(m.wake_hot)},
            {"wake_cold", text_of(m.wake_cold)},
            {"ring_round_trip", text_of(m.ring_round_trip)},
            {"steals", json::array()},
            {"memory", json::array()},
            {"jitter", json::array()},
            {"doubts", m.doubts}};
  for (const auto& each : m.steals) {
    text["steals"].push_back({{"nearness", each.nearness}, {"cost", text_of(each.cost)}});
  }
  for (const auto& each : m.memory) {
    text["memory"].push_back({{"cpu_node", each.cpu_node},
                              {"memory_node", each.memory_node},
                              {"latency", text_of(each.latency)},
                              {"bandwidth", text_of(each.bandwidth)}});
  }
  for (const auto& each : m.jitter) {
    text["jitter"].push_back({{"cpu", each.cpu},
                              {"lost_share", each.lost_share},
                              {"longest_gap_ns", each.longest_gap_ns},
                              {"gaps_per_second", each.gaps_per_second}});
  }
  // A text in it that is not UTF-8 does not make all of it unwritable.
  return text.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

measurements measurements_from_json(const std::string& text) try {
  return read(json::parse(text));
} catch (const json::exception& e) {
  refuse(std::string("it is not JSON: ") + e.what());
}

}  // namespace remuda::topo
