// Pool ids and who they belong to.
#include <pthread.h>

#include <unordered_map>

#include "runtime/sched/pool_core.hpp"

namespace remuda::detail::pool_registry {
namespace {

// An id is (number of forks before the pool was made, running number); 0 is no pool.
constexpr unsigned fork_shift = 48;

constinit atomic<std::uint64_t> forks{0};
constinit atomic<std::uint64_t> made{0};

struct table {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::weak_ptr<pool_core>> pools;
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

void add(const std::shared_ptr<pool_core>& core) {
  const std::lock_guard lock(pools().mutex);
  pools().pools.emplace(core->id(), core);
}

void remove(std::uint64_t id) {
  const std::lock_guard lock(pools().mutex);
  pools().pools.erase(id);
}

std::shared_ptr<pool_core> find(std::uint64_t id) {
  if (id == 0 || forked_since(id)) return nullptr;  // a copy of a pool without its threads
  const std::lock_guard lock(pools().mutex);
  const auto at = pools().pools.find(id);
  return at == pools().pools.end() ? nullptr : at->second.lock();
}

bool forked_since(std::uint64_t id) { return id != 0 && (id >> fork_shift) != forks.load(std_sync::relaxed); }

}  // namespace remuda::detail::pool_registry
