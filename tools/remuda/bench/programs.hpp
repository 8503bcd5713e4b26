// The benchmark programs: which there are, where they are found, and running them one after the other.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/remuda/bench/results.hpp"

namespace remuda::tool::bench {

/// In the order in which they run.
const std::vector<std::string>& program_names();

/// Where they are when this program stands in a build tree; need not exist.
std::filesystem::path programs_beside_this_one();

struct run_options {
  std::filesystem::path programs;  ///< folder that they are in
  std::filesystem::path results;   ///< folder for what they write; has to exist
  std::string filter;              ///< regular expression for ROW/CONTESTANT/round:N; empty = all rows
  bool quick = false;
  std::chrono::duration<double> patience = std::chrono::minutes(20);  ///< with one program
};

/// Thrown when this process was asked to end meanwhile; the program that ran has been ended.
struct interrupted {
  int signal;
};

/// Runs all and adds their rows to the report, with what became of each program. A row of the limits is measured
/// whatever the filter says. One line on stderr for each program, and on a terminal how far it is. Throws
/// std::runtime_error when there is no program at all, and when the filter matches nothing, before anything is
/// measured.
void run_programs(report& to, const run_options&);

}  // namespace remuda::tool::bench
