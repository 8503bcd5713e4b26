// Sleep until a word changes, as the kernel offers it. The word is shared by the threads of one process, or lies in
// memory that processes share (the functions with `shared` in their names).
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

inline futex_result futex_wait(const void* word, std::uint32_t expected, const timespec* deadline,
                               int scope = FUTEX_PRIVATE_FLAG) noexcept {
  const int caller_errno = errno;
  // The BITSET form because its deadline is absolute: a wait that is restarted does not grow longer.
  const long rc =
      syscall(SYS_futex, word, FUTEX_WAIT_BITSET | scope, expected, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
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

inline timespec to_timespec(std::chrono::steady_clock::time_point deadline) noexcept {
  using namespace std::chrono;
  const nanoseconds at = std::max(duration_cast<nanoseconds>(deadline.time_since_epoch()), nanoseconds::zero());
  const seconds whole = duration_cast<seconds>(at);
  timespec ts{};
  ts.tv_sec = whole.count();
  ts.tv_nsec = (at - whole).count();
  return ts;
}

}  // namespace detail

/// Sleeps while the 32-bit word equals `expected`. Blocks. Keeps errno.
inline futex_result futex_wait(const void* word, std::uint32_t expected) noexcept {
  return detail::futex_wait(word, expected, nullptr);
}

/// The same, at most until `deadline` (std::chrono::steady_clock is CLOCK_MONOTONIC on Linux).
inline futex_result futex_wait_until(const void* word, std::uint32_t expected,
                                     std::chrono::steady_clock::time_point deadline) noexcept {
  const timespec ts = detail::to_timespec(deadline);
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

/// futex_wait() on a word in memory that processes share, also under different addresses.
inline futex_result futex_wait_shared(const void* word, std::uint32_t expected) noexcept {
  return detail::futex_wait(word, expected, nullptr, 0);
}

/// futex_wake() on such a word.
inline int futex_wake_shared(const void* word, int count) noexcept {
  const int caller_errno = errno;
  const long rc = syscall(SYS_futex, word, FUTEX_WAKE, count);
  errno = caller_errno;
  return rc > 0 ? static_cast<int>(rc) : 0;
}

/// Sleeps while both words equal what is expected of them: `own` of this process, `shared` in memory that processes
/// share. At most until `deadline`, if that is not null. False: this kernel cannot (before Linux 5.16); nothing was
/// slept.
inline bool futex_wait_either(const void* own, std::uint32_t own_expected, const void* shared,
                              std::uint32_t shared_expected,
                              const std::chrono::steady_clock::time_point* deadline) noexcept {
  const int caller_errno = errno;
  futex_waitv words[2]{};
  words[0].val = own_expected;
  words[0].uaddr = reinterpret_cast<std::uintptr_t>(own);
  words[0].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
  words[1].val = shared_expected;
  words[1].uaddr = reinterpret_cast<std::uintptr_t>(shared);
  words[1].flags = FUTEX_32;
  timespec ts{};
  if (deadline != nullptr) ts = detail::to_timespec(*deadline);
  const long rc = syscall(SYS_futex_waitv, words, 2, 0, deadline != nullptr ? &ts : nullptr, CLOCK_MONOTONIC);
  const bool cannot = rc < 0 && errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR;
  errno = caller_errno;
  return !cannot;
}

}  // namespace remuda::os
