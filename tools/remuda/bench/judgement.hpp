// What the results say: ratios to what the machine can do at best and to the best other contestant, aims reached and
// missed, and where remuda loses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/remuda/bench/results.hpp"
#include "tools/remuda/bench/rows.hpp"

namespace remuda::tool::bench {

struct aim {
  std::string text;             ///< with what came of it
  std::optional<bool> reached;  ///< empty when remuda was not measured
};

/// A value, and whose it is.
struct mark {
  std::string whose;
  double value = 0;
};

/// How the contestants of one row stand.
struct standing {
  const row* measured = nullptr;  ///< of the report that was judged
  row_spec spec;
  std::optional<mark> limit;       ///< what the machine can do at best, first column
  std::optional<mark> best_other;  ///< first column
  std::vector<aim> aims;
  std::optional<bool> reached;  ///< all aims that could be judged; empty = none could

  const std::string& column() const { return spec.columns.front(); }
};

/// A column in which another contestant is better.
struct loss {
  const standing* of = nullptr;
  std::string column;
  double own = 0;
  mark other;
  double times = 1;   ///< by which the other one is better, > 1; infinity where one of both is 0
  bool clear = true;  ///< false: the rounds of both overlap
};

struct verdict {
  std::vector<const row*> limits;  ///< rows without remuda: what the machine can do
  std::vector<standing> rows;
  unsigned reached = 0, missed = 0;  ///< rows, by their aims
};

/// Refers to the report: it has to outlive the verdict.
verdict judge(const report&);
/// The largest first. Contestants of which some tasks never ran, or ran in the caller, win nothing.
std::vector<loss> losses(const verdict&);

/// Whether the tasks were mostly run by the thread that waited for them: a quicker thing, and another one.
bool in_caller(const result&);
/// What the figures of a contestant that was measured do not say; empty if nothing.
std::string remarks(const result&);

/// The whole as text for a terminal.
std::string to_table(const report&, const verdict&);

}  // namespace remuda::tool::bench
