// Values that count what is done to them.
#pragma once

#include <atomic>

namespace remuda::test {

struct tally {
  std::atomic<int> alive{0};
  std::atomic<int> copies{0};
  std::atomic<int> moves{0};
};

/// Counts itself in a tally; a moved-from one no longer counts as alive.
class counted {
 public:
  explicit counted(tally& t) : tally_(&t) { ++t.alive; }
  counted(const counted& other) : tally_(other.tally_) {
    if (tally_ != nullptr) {
      ++tally_->alive;
      ++tally_->copies;
    }
  }
  counted(counted&& other) noexcept : tally_(other.tally_) {
    other.tally_ = nullptr;
    if (tally_ != nullptr) ++tally_->moves;
  }
  counted& operator=(counted) = delete;
  ~counted() {
    if (tally_ != nullptr) --tally_->alive;
  }

 private:
  tally* tally_;
};

}  // namespace remuda::test
