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

/// The pool of a task, if this thread runs another task of it; else null.
pool_core* own_pool(const state& s) { return s.ops->run == nullptr ? nullptr : pool_core::inside(s.home); }

bool expired(const deadline& until) { return until && clock::now() >= *until; }

nanoseconds spin_time(const deadline& until, clock::time_point now) {
  return until ? std::min<nanoseconds>(waiting.next(), *until - now) : waiting.next();
}

/// True when the CPU turned out to be wanted by another thread.
template <class Condition>
bool spin_until(Condition&& condition, nanoseconds budget) {
  spinner spin(budget);
  while (!condition() && spin.turn()) {
  }
  return spin.contended();
}

/// A pool's own thread, inside a callback that waits: if it slept, nobody would do the pool's work.
template <class Condition>
bool serve_until(Condition&& condition, const deadline& until) {
  while (!condition()) {
    if (expired(until)) return false;
    serving->serve(until);
    run_deferred_callbacks();  // of what was completed just now: the outer callback waits, so they do not wait for it
  }
  return true;
}

void observe(nanoseconds gap, bool contended) {
  if (contended) {
    waiting.was_contended();
  } else {
    waiting.observed(gap);
  }
}

}  // namespace

void sleep_on(const void* address, std::uint32_t expected, const deadline& until) {
  if (until) {
    os::futex_wait_until(address, expected, *until);
  } else {
    os::futex_wait(address, expected);
  }
}

void refuse_if_forked(const state& s) {
  if (pool_registry::forked_since(s.home)) throw_forked();
}

void throw_forked() {
  throw broken_pool_error(
      "this process was forked from the one that made the pool: its workers are not here, so the task cannot finish; "
      "make "
      "a pool after the fork");
}

status wait(state* s, const deadline& until) {
  if (const status now = s->word.current(); is_final(now)) return now;
  refuse_if_forked(*s);
  run_deferred_callbacks();
  if (serving != nullptr) {
    serve_until([s] { return is_final(s->word.current()); }, until);
    return s->word.current();
  }
  const auto remote = s->ops->remote == nullptr ? nullptr : pool_registry::find_remote(*s);
  pool_core* const own = own_pool(*s);
  // The awaited task is the only one that may run on top of a waiting one: any other might wait in turn for something
  // below it on the stack. With a time limit it is not run here, for it might take longer.
  if (own != nullptr && !until && own->claim(s, pool_core::comfortable_stack())) return s->word.current();
  const auto since = clock::now();
  const auto done = [s, &remote] {
    if (remote != nullptr) remote->poll(s);
    return is_final(s->word.current());
  };
  // Who waits for a task that nobody has started must let somebody start it, however short the time.
  const bool unstarted = own != nullptr && s->word.current() == status::pending;
  bool contended = false;
  if (!unstarted) {
    contended = spin_until(done, spin_time(until, since));
  }
  if (!done()) {
    give_up_seat();
    if (own != nullptr && !until && own->own_seat() != nullptr) {  // no thread to take the seat
      if (own->claim(s, pool_core::all_stack())) return s->word.current();
      if (s->word.current() == status::pending) {
        throw error(
            "tasks that wait for tasks are nested too deep: the stacks of the worker and of all spare threads are "
            "full");
      }
    }
    for (;;) {
      const auto word = s->word.announce_waiter();
      if (is_final(completion_word::status_of(word)) || expired(until)) break;
      if (remote != nullptr) {
        remote->sleep(s, static_cast<std::uint32_t>(word), until);
      } else {
        sleep_on(s->word.address(), static_cast<std::uint32_t>(word), until);
      }
    }
  }
  if (done()) observe(clock::now() - since, contended);
  return s->word.current();
}

bool wait_for_change(const atomic<std::uint32_t>& word, std::uint32_t seen, const deadline& until) {
  run_deferred_callbacks();
  if (serving != nullptr) {
    return serve_until([&] { return word.load(std_sync::acquire) != seen; }, until);  // acquire: as below
  }
  const auto since = clock::now();
  // acquire: what the thread that changed it did before
  const auto changed = [&] { return word.load(std_sync::acquire) != seen; };
  const bool contended = spin_until(changed, spin_time(until, since));
  if (!changed()) {
    give_up_seat();
    while (!changed() && !expired(until)) sleep_on(&word, seen, until);
  }
  if (!changed()) return false;
  observe(clock::now() - since, contended);
  return true;
}

bool run_here(state* s) {
  if (s->ops->run == nullptr || s->word.current() != status::pending) return false;
  refuse_if_forked(*s);
  if (auto* const own = own_pool(*s)) return own->claim(s, pool_core::all_stack());
  const auto core = pool_registry::find(s->home);
  if (core == nullptr) return false;
  return core->run_as_guest(s);
}

}  // namespace remuda::detail
