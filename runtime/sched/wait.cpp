// Waiting for a future: claim, spin, or sleep.
#include "runtime/sched/wait.hpp"

#include <algorithm>

#include "remuda/error.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/pool_core.hpp"
#include "runtime/sync/spin.hpp"

namespace remuda::detail {
namespace {

/// Of this thread as one that waits for results; a worker's budget for finding work is another one.
constinit thread_local spin_budget waiting{balanced_spin};

[[noreturn]] void throw_forked() {
  throw broken_pool_error(
      "this process was forked from the one that made the pool: its workers are not here, so the task cannot finish; "
      "make "
      "a pool after the fork");
}

/// A task of the pool that this thread belongs to, which nobody has started: runs it here. The awaited task is the only
/// one that may run on top of a waiting one; any other could wait in turn for something below it on the stack.
bool claim(state* s) {
  pool_thread* const me = this_thread;
  if (me == nullptr || s->home != me->core->id() || s->ops->run == nullptr) return false;
  if (!me->core->may_nest(*me) || !s->word.try_start()) return false;
  me->core->run_claimed(s);
  return true;
}

void sleep_on(const void* address, std::uint32_t expected, const deadline& until) {
  if (until) {
    os::futex_wait_until(address, expected, *until);
  } else {
    os::futex_wait(address, expected);
  }
}

bool expired(const deadline& until) { return until && clock::now() >= *until; }

nanoseconds spin_time(const deadline& until, clock::time_point now) {
  return until ? std::min<nanoseconds>(waiting.next(), *until - now) : waiting.next();
}

}  // namespace

status wait(state* s, const deadline& until) {
  if (const status now = s->word.current(); is_final(now)) return now;
  if (pool_registry::forked_since(s->home)) throw_forked();
  // With a time limit the task is not run here: it might take longer.
  if (!until && claim(s)) return s->word.current();
  if (expired(until)) return s->word.current();
  const auto since = clock::now();
  const auto done = [s] { return is_final(s->word.current()); };
  for (spinner spin(spin_time(until, since)); !done() && spin.turn();) {
  }
  if (!done() && !expired(until)) {
    give_up_seat();
    for (;;) {
      const auto word = s->word.announce_waiter();
      if (is_final(completion_word::status_of(word)) || expired(until)) break;
      sleep_on(s->word.address(), static_cast<std::uint32_t>(word), until);
    }
  }
  if (done()) waiting.observed(clock::now() - since);
  return s->word.current();
}

bool wait_for_change(const atomic<std::uint32_t>& word, std::uint32_t seen, const deadline& until) {
  const auto since = clock::now();
  // acquire: what the thread that changed it did before
  const auto changed = [&] { return word.load(std_sync::acquire) != seen; };
  for (spinner spin(spin_time(until, since)); !changed() && spin.turn();) {
  }
  if (!changed() && !expired(until)) {
    give_up_seat();
    while (!changed() && !expired(until)) sleep_on(&word, seen, until);
  }
  if (!changed()) return false;
  waiting.observed(clock::now() - since);
  return true;
}

bool run_here(state* s) {
  if (s->ops->run == nullptr || s->word.current() != status::pending) return false;
  if (pool_registry::forked_since(s->home)) throw_forked();
  if (this_thread != nullptr && this_thread->core->id() == s->home) {
    if (!s->word.try_start()) return false;
    this_thread->core->run_claimed(s);
    return true;
  }
  const auto core = pool_registry::find(s->home);
  if (core == nullptr) return false;
  return core->run_as_guest(s);
}

}  // namespace remuda::detail
