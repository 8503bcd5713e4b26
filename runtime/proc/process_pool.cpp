// The public face of a process pool.
#include "remuda/process_pool.hpp"

#include <signal.h>

#include "runtime/proc/process_core.hpp"

namespace remuda {

process_pool::process_pool() : process_pool(process_pool_options{}) {}

process_pool::process_pool(unsigned workers)
    : process_pool([workers] {
        process_pool_options options;
        options.workers = workers;
        return options;
      }()) {}

process_pool::process_pool(process_pool_options options)
    : core_(std::make_shared<detail::process_core>(std::move(options))), id_(core_->id()) {
  core_->start();
}

process_pool::~process_pool() {
  if (detail::pool_registry::forked_since(id_)) {
    core_->leave_behind();
  } else {
    core_->abandon();
  }
}

void process_pool::schedule(detail::state* task, detail::remote_part& part) { core_->schedule(task, part); }
detail::block_ptr process_pool::allocate_shared(std::size_t bytes) { return core_->allocate_shared(bytes); }
void process_pool::shutdown(shutdown_mode mode) { core_->shutdown(mode); }
void process_pool::terminate() { core_->end_now(SIGTERM); }
void process_pool::kill() { core_->end_now(SIGKILL); }
unsigned process_pool::size() const noexcept { return core_->size(); }
process_pool_stats process_pool::stats() const { return core_->stats(); }
const pool_settings& process_pool::settings() const noexcept { return core_->settings(); }

}  // namespace remuda
