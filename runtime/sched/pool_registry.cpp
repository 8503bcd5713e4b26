// Pool ids and who they belong to.
#include <pthread.h>

#include <mutex>
#include <unordered_map>

#include "remuda/detail/sync.hpp"
#include "runtime/sched/pool_home.hpp"

namespace remuda::detail {

constinit thread_local remote_home* serving = nullptr;
constinit thread_local const pool_home::guest_visit* pool_home::guest_visit::innermost = nullptr;

namespace pool_registry {
namespace {

// An id is (number of forks before the pool was made, running number); 0 is no pool.
constexpr unsigned fork_shift = 48;

constinit atomic<std::uint64_t> forks{0};
constinit atomic<std::uint64_t> made{0};

struct table {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::weak_ptr<pool_home>> pools;
};

/// Never destroyed: pools with static storage duration may end after it would.
table& pools() {
  static auto* t = new table;
  return *t;
}

}  // namespace

std::uint64_t new_id() {
  // Only a program that makes a pool gets the handlers. The table is held over the fork, so that the child finds it
  // unlocked and whole. relaxed: the child of a fork has one thread.
  static const int error = pthread_atfork([] { pools().mutex.lock(); }, [] { pools().mutex.unlock(); },
                                          [] {
                                            forks.fetch_add(1, std_sync::relaxed);
                                            pools().mutex.unlock();
                                          });
  if (error != 0) throw std::bad_alloc();
  return (forks.load(std_sync::relaxed) << fork_shift) | (made.fetch_add(1, std_sync::relaxed) + 1);
}

void add(const std::shared_ptr<pool_home>& home, std::uint64_t id) {
  const std::lock_guard lock(pools().mutex);
  pools().pools.emplace(id, home);
}

void remove(std::uint64_t id) {
  const std::lock_guard lock(pools().mutex);
  pools().pools.erase(id);
}

std::shared_ptr<pool_home> find(std::uint64_t id) {
  if (id == 0 || forked_since(id)) return nullptr;  // a copy of a pool without its threads
  const std::lock_guard lock(pools().mutex);
  const auto at = pools().pools.find(id);
  return at == pools().pools.end() ? nullptr : at->second.lock();
}

std::shared_ptr<remote_home> find_remote(const state& s) { return std::static_pointer_cast<remote_home>(find(s.home)); }

bool forked_since(std::uint64_t id) { return id != 0 && (id >> fork_shift) != forks.load(std_sync::relaxed); }

}  // namespace pool_registry
}  // namespace remuda::detail
