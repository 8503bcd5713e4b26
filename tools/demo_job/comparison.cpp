#include "tools/demo_job/comparison.hpp"

#include <numeric>
#include <utility>

namespace demo {

void comparison::add(const std::vector<digest>& round) {
  std::vector<std::size_t> all(round.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  add(round, all);
}

void comparison::add(const std::vector<digest>& round, const std::vector<std::size_t>& files) {
  for (std::size_t i = 0; i < round.size(); ++i) {
    finding& f = findings_[files[i]];
    const digest& d = round[i];
    if (d.error != 0) {
      f.error = d.error;
      continue;
    }
    if (!std::exchange(f.any, true)) f.first = d;
    if (d.changed || f.first.of != d.of) {
      f.changed = true;
    } else if (!f.first.same_contents(d)) {
      f.disagrees = true;
    }
  }
}

comparison::verdict comparison::conclude(const std::vector<std::string>& paths) const {
  verdict v;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const finding& f = findings_[i];
    if (f.error != 0) {
      v.unread.push_back({paths[i], f.error});
    } else if (f.changed) {
      v.changed.push_back(paths[i]);
    } else if (f.disagrees) {
      v.disagreeing.push_back(paths[i]);
    } else {
      v.names.push_back(paths[i]);
      v.digests.push_back(f.first);
    }
  }
  return v;
}

}  // namespace demo
