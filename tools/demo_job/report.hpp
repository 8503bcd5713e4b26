// What the demo tells: a table for people, JSON for programs, complaints for stderr.
#pragma once

#include <array>
#include <string>

#include "tools/demo_job/comparison.hpp"
#include "tools/demo_job/files.hpp"
#include "tools/demo_job/ways.hpp"

namespace demo {

struct report {
  std::string folder;
  std::size_t files = 0;
  std::size_t skipped = 0;
  unsigned rounds = 0;
  unsigned workers = 0;  ///< of each pool
  unsigned usable_cpus = 0;
  std::array<cost, all_ways.size()> medians;  ///< in the order of all_ways
  std::vector<problem> folders_unread;
  comparison::verdict verdict;
};

/// How many times the pool's cost another way's is, for each file; 0 when the pool's was too small to be measured.
double times_of_pool(double other, double pool);

std::string to_table(const report& r);
std::string to_json(const report& r);

/// One line for each thing that went wrong, the first of many of a kind; empty when all is well.
std::string to_complaints(const report& r);

/// A path in quotes, safe for a terminal: what is not printable UTF-8 is escaped.
std::string quoted(const std::string& path);

}  // namespace demo
