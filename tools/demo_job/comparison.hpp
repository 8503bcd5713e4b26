// Do all rounds of all ways say the same about each file?
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/demo_job/digest.hpp"
#include "tools/demo_job/files.hpp"

namespace demo {

class comparison {
 public:
  explicit comparison(std::size_t files) : findings_(files) {}

  /// What one round found: round[i] of the file with the index files[i].
  void add(const std::vector<digest>& round, const std::vector<std::size_t>& files);
  /// The same, of all files in the order of the paths.
  void add(const std::vector<digest>& round);

  struct verdict {
    std::vector<problem> unread;           ///< could not be read in at least one round
    std::vector<std::string> changed;      ///< were written to meanwhile, so that there is nothing to compare
    std::vector<std::string> disagreeing;  ///< same contents, different results
    std::vector<std::string> names;        ///< all other files; their digests stand at the same index
    std::vector<digest> digests;
  };
  verdict conclude(const std::vector<std::string>& paths) const;

 private:
  struct finding {
    digest first;
    bool any = false;
    int error = 0;
    bool changed = false;
    bool disagrees = false;
  };
  std::vector<finding> findings_;
};

}  // namespace demo
