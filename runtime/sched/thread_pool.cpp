// The public face of a thread pool.
#include "remuda/thread_pool.hpp"

#include "runtime/sched/pool_core.hpp"

namespace remuda {

thread_pool::thread_pool() : thread_pool(thread_pool_options{}) {}

thread_pool::thread_pool(unsigned workers)
    : thread_pool([workers] {
        thread_pool_options options;
        options.workers = workers;
        return options;
      }()) {}

thread_pool::thread_pool(thread_pool_options options)
    : core_(std::make_shared<detail::pool_core>(std::move(options))), id_(core_->id()) {
  core_->start();
}

thread_pool::~thread_pool() {
  if (detail::pool_registry::forked_since(id_)) {
    core_->leave_behind();
  } else {
    core_->abandon();
  }
}

void thread_pool::schedule(detail::state* task) { core_->schedule(task); }
void thread_pool::shutdown(shutdown_mode mode) { core_->shutdown(mode); }
unsigned thread_pool::size() const noexcept { return core_->size(); }
pool_stats thread_pool::stats() const { return core_->stats(); }
const pool_settings& thread_pool::settings() const noexcept { return core_->settings(); }

}  // namespace remuda
