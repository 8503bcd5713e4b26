#include "runtime/os/futex.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include "remuda/detail/sync.hpp"

namespace remuda::os {
namespace {

using word = remuda::detail::atomic<std::uint32_t>;
using std::chrono::steady_clock;

TEST(Futex, DoesNotSleepWhenTheWordDiffers) {
  const word w{1};
  EXPECT_EQ(futex_wait(&w, 0), futex_result::value_differed);
  EXPECT_EQ(futex_wait_until(&w, 0, steady_clock::time_point::max()), futex_result::value_differed);
}

TEST(Futex, TimesOutAtADeadlineThatHasPassed) {
  const word w{0};
  EXPECT_EQ(futex_wait_until(&w, 0, steady_clock::now()), futex_result::timed_out);
  EXPECT_EQ(futex_wait_until(&w, 0, steady_clock::time_point{}), futex_result::timed_out);
  EXPECT_EQ(futex_wait_until(&w, 0, steady_clock::time_point::min()), futex_result::timed_out);
}

TEST(Futex, DoesNotTimeOutBeforeTheDeadline) {
  const word w{0};
  const auto deadline = steady_clock::now() + std::chrono::milliseconds(2);
  while (futex_wait_until(&w, 0, deadline) != futex_result::timed_out) {
  }
  EXPECT_GE(steady_clock::now(), deadline);
}

TEST(Futex, WakeOfNobodyReportsNobody) {
  const word w{0};
  EXPECT_EQ(futex_wake(&w, 1), 0);
  EXPECT_EQ(futex_wake(&w, futex_wake_all), 0);
}

TEST(Futex, AWokenSleeperSaysSo) {
  const word w{0};  // never changes: only a wake ends the wait
  futex_result result{};
  std::thread sleeper([&] { result = futex_wait(&w, 0); });
  while (futex_wake(&w, 1) == 0) std::this_thread::yield();
  sleeper.join();
  EXPECT_EQ(result, futex_result::woken);
}

TEST(Futex, ADeadlineInTheFutureDoesNotKeepAWakeAway) {
  const word w{0};
  futex_result result{};
  std::thread sleeper([&] { result = futex_wait_until(&w, 0, steady_clock::time_point::max()); });
  while (futex_wake(&w, 1) == 0) std::this_thread::yield();
  sleeper.join();
  EXPECT_EQ(result, futex_result::woken);
}

TEST(Futex, WakesNoMoreThanAskedForAndAllInTheEnd) {
  constexpr int sleepers = 4;
  const word w{0};
  std::vector<std::thread> threads;
  threads.reserve(sleepers);
  for (int i = 0; i < sleepers; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(futex_wait(&w, 0), futex_result::woken); });
  }
  int woken = 0;
  while (woken < sleepers / 2) {
    const int now = futex_wake(&w, 1);
    EXPECT_LE(now, 1);
    woken += now;
  }
  while (woken < sleepers) woken += futex_wake(&w, futex_wake_all);
  EXPECT_EQ(woken, sleepers);
  for (std::thread& t : threads) t.join();
}

TEST(Futex, AChangeBeforeTheWakeIsNeverSlept) {
  // The use it is made for: change the word, then wake; the sleeper checks the word around each wait.
  constexpr std::uint32_t rounds = 2000;
  word turn{0};
  const auto play = [&](std::uint32_t parity) {
    for (std::uint32_t now = turn.load(); now < rounds; now = turn.load()) {
      if (now % 2 == parity) {
        turn.store(now + 1);
        futex_wake(&turn, futex_wake_all);
      } else {
        futex_wait(&turn, now);
      }
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  EXPECT_EQ(turn.load(), rounds);
}

TEST(Futex, ASignalHandlerInterrupts) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  action.sa_flags = 0;  // without SA_RESTART
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const word w{0};
  word done{0};
  futex_result result{};
  std::thread sleeper([&] {
    result = futex_wait(&w, 0);
    done.store(1);
  });
  while (done.load() == 0) {
    pthread_kill(sleeper.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  sleeper.join();
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
  EXPECT_EQ(result, futex_result::interrupted);
}

TEST(Futex, KeepsErrno) {
  const word w{1};
  errno = ENOTTY;
  EXPECT_EQ(futex_wait(&w, 0), futex_result::value_differed);
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(futex_wait_until(&w, 1, steady_clock::time_point{}), futex_result::timed_out);
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(futex_wake(nullptr, 1), 0);
  EXPECT_EQ(futex_wake(reinterpret_cast<const char*>(&w) + 1, 1), 0) << "misaligned, so that the kernel refuses";
  EXPECT_EQ(errno, ENOTTY);
}

}  // namespace
}  // namespace remuda::os
