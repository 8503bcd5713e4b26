// Two words in shared memory on which two processes sleep: what a round trip costs that wakes both.
#pragma once

#include <cstdint>

#include "bench/support/forked_child.hpp"
#include "bench/support/shared_memory.hpp"
#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/os/futex.hpp"

namespace bench {

class shm_futex_peer {
  using sync = remuda::detail::std_sync;

 public:
  static constexpr const char* name = "shm_futex";

  shm_futex_peer() : child_([this] { serve(); }) {}

  pid_t pid() const { return child_.pid(); }
  pid_t ask() {
    ++turn_;
    give(words_->question, turn_);
    await(words_->answer, turn_);
    return words_->answered_by;
  }

 private:
  struct alignas(2 * remuda::cache_line) word {
    remuda::detail::atomic<std::uint32_t> value{0};
  };
  struct words {
    word question;
    word answer;
    pid_t answered_by = 0;
  };

  static void give(word& w, std::uint32_t turn) {
    w.value.store(turn, sync::release);
    remuda::os::futex_wake_shared(&w.value, 1);
  }
  static void await(word& w, std::uint32_t turn) {
    for (std::uint32_t seen = 0; (seen = w.value.load(sync::acquire)) != turn;) {
      remuda::os::futex_wait_shared(&w.value, seen);
    }
  }
  void serve() {
    const pid_t me = getpid();
    for (std::uint32_t turn = 1;; ++turn) {
      await(words_->question, turn);
      words_->answered_by = me;
      give(words_->answer, turn);
    }
  }

  shared_memory<words> words_;
  forked_child child_;
  std::uint32_t turn_ = 0;
};

}  // namespace bench
