// What the futures need of the pool whose id they carry, be its workers threads or processes; and how it is found.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "remuda/detail/state.hpp"

namespace remuda::detail {

class pool_home : public std::enable_shared_from_this<pool_home> {
 public:
  pool_home() = default;
  pool_home(const pool_home&) = delete;
  pool_home& operator=(const pool_home&) = delete;
  virtual ~pool_home() = default;

  /// This thread runs a task or a callback of this pool, so a shutdown that waits would wait for itself.
  virtual bool inside() const = 0;
  /// Runs the pool's error hook.
  virtual void report(std::exception_ptr error) noexcept = 0;
  /// Runs a task that nobody has started on this thread, which is none of the pool's. False when that cannot be.
  virtual bool run_as_guest(state* task) = 0;

  /// A thread does something that a shutdown has to wait for.
  class guest_visit {
   public:
    explicit guest_visit(pool_home& home) : home_(home), outer_(std::exchange(innermost, this)) { home_.enter_guest(); }
    ~guest_visit() {
      innermost = outer_;
      home_.leave_guest();
    }
    guest_visit(const guest_visit&) = delete;
    guest_visit& operator=(const guest_visit&) = delete;

    /// This thread makes a visit to that pool.
    static bool made_to(const pool_home* home) {
      const guest_visit* v = innermost;
      while (v != nullptr && &v->home_ != home) v = v->outer_;
      return v != nullptr;
    }

   private:
    static constinit thread_local const guest_visit* innermost;

    pool_home& home_;
    const guest_visit* outer_;
  };

 protected:
  virtual void enter_guest() = 0;
  virtual void leave_guest() = 0;
};

/// A pool whose tasks run in other processes: their results lie in shared memory until some thread here takes them.
class remote_home : public pool_home {
 public:
  /// Takes what results there are where this task is, without blocking. Any thread.
  virtual void poll(state* s) = 0;
  /// Sleeps until the state is final, or perhaps earlier; not beyond the deadline. `word` is what the completion word
  /// was when the caller announced itself as a waiter. Any thread.
  virtual void sleep(state* s, std::uint32_t word, const deadline& until) = 0;
  /// Takes a task back that waits or was handed to a worker; with `force` also one that runs, whose worker is then
  /// replaced. True: it is cancelled. Any thread.
  virtual bool take_back(state* s, bool force) = 0;
  /// A worker has begun to run the task that was handed to it. Any thread.
  virtual bool begun(const state* s) const = 0;
  /// On the pool's own thread, inside a callback: goes on with the pool's work for a while, as nobody else would.
  virtual void serve(const deadline& until) = 0;
};

/// The pool whose own thread this is; null on all other threads.
extern constinit thread_local remote_home* serving;

/// Ids name pools for ever: home ids in futures outlive their pool. Also tells whether this process is a fork()ed child
/// of the one that made the pool.
namespace pool_registry {
std::uint64_t new_id();
void add(const std::shared_ptr<pool_home>& home, std::uint64_t id);
void remove(std::uint64_t id);
std::shared_ptr<pool_home> find(std::uint64_t id);
/// REQUIRES: the state is that of a remote task.
std::shared_ptr<remote_home> find_remote(const state& s);
bool forked_since(std::uint64_t id);
}  // namespace pool_registry

}  // namespace remuda::detail
