#include "tools/remuda/bench/results.hpp"

#include <algorithm>

#include "tools/remuda/median.hpp"

namespace remuda::tool::bench {

const std::vector<double>* result::values(std::string_view column) const {
  const auto found = rounds.find(column);
  return found == rounds.end() || found->second.empty() ? nullptr : &found->second;
}

std::optional<double> result::median(std::string_view column) const {
  const auto* all = values(column);
  if (all == nullptr) return std::nullopt;
  return tool::median(*all);
}

const result* row::find(std::string_view contestant) const {
  const auto found = std::find_if(results.begin(), results.end(),
                                  [contestant](const result& r) { return r.contestant == contestant; });
  return found == results.end() ? nullptr : &*found;
}

std::string_view to_text(program_run::state s) {
  switch (s) {
    case program_run::state::measured:
      return "measured";
    case program_run::state::nothing_matched:
      return "nothing matched";
    case program_run::state::not_there:
      return "not there";
    case program_run::state::failed:
      return "failed";
    case program_run::state::timed_out:
      return "timed out";
  }
  return "";
}

}  // namespace remuda::tool::bench
