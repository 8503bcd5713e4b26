// Sleep until a word changes, as the kernel offers it. Private futexes: the word is shared by threads of one process.
//
// The address is a plain pointer, so that this file depends on no atomics policy: pass the address of an aligned,
// lock-free 32-bit atomic. The kernel compares the word and goes to sleep as one step with respect to wakes on it; it
// orders nothing else for the caller, who loads the word again, with the order needed, after every return.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace remuda::os {

enum class futex_result {
  woken,           ///< by futex_wake, or for no reason: the kernel allows spurious wakes
  value_differed,  ///< the word was not `expected`; the thread has not slept
  timed_out,       ///< the deadline has passed
  interrupted,     ///< a signal handler ran
};

namespace detail {

static_assert(sizeof(timespec) == 2 * sizeof(std::int64_t), "SYS_futex takes the 64-bit timespec on 64-bit Linux only");

inline futex_result futex_wait(const void* word, std::uint32_t expected, const timespec* deadline) noexcept {
  const int caller_errno = errno;
  // The BITSET form because its deadline is absolute: a wait that is restarted does not grow longer.
  const long rc =
      syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
  const int error = errno;
  errno = caller_errno;
  if (rc == 0) return futex_result::woken;
  switch (error) {
    case EAGAIN:
      return futex_result::value_differed;
    case ETIMEDOUT:
      return futex_result::timed_out;
    case EINTR:
      return futex_result::interrupted;
    default:
      std::abort();  // bad address or no futex in this kernel: any result would make the caller spin for ever
  }
}

}  // namespace detail

/// Sleeps while the 32-bit word equals `expected`. Blocks. Keeps errno.
inline futex_result futex_wait(const void* word, std::uint32_t expected) noexcept {
  return detail::futex_wait(word, expected, nullptr);
}

/// The same, at most until `deadline` (std::chrono::steady_clock is CLOCK_MONOTONIC on Linux).
inline futex_result futex_wait_until(const void* word, std::uint32_t expected,
                                     std::chrono::steady_clock::time_point deadline) noexcept {
  using namespace std::chrono;
  const nanoseconds at = std::max(duration_cast<nanoseconds>(deadline.time_since_epoch()), nanoseconds::zero());
  const seconds whole = duration_cast<seconds>(at);
  timespec ts{};
  ts.tv_sec = whole.count();
  ts.tv_nsec = (at - whole).count();
  return detail::futex_wait(word, expected, &ts);
}

inline constexpr int futex_wake_all = INT_MAX;

/// Wakes at most `count` threads that sleep on the word, in no order to rely on; returns how many. Does not read the
/// word, so that it may be gone already (the waiter saw the change, went on and freed it). Never blocks. Keeps errno.
inline int futex_wake(const void* word, int count) noexcept {
  const int caller_errno = errno;
  const long rc = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count);
  errno = caller_errno;
  return rc > 0 ? static_cast<int>(rc) : 0;
}

}  // namespace remuda::os
