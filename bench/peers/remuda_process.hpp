// remuda's process pool, seen through the interface that the peers between processes have.
//
// Such a peer is a class with
//   name          how the table calls it
//   Peer()        starts the other process; the destructor leaves none, and no descriptor
//   pid()         of that process
//   ask()         one empty task there and its result: the id of the process that really ran it
// and, where it has such a thing,
//   window        so many may be in flight
//   share         it gets 1/share of the tasks of a throughput row; the figures are for one task
//   send(), receive()   the halves of ask(), at most `window` apart
//   ask_with(v)   as ask(), with bytes that the other process gets a copy of
#pragma once

#include <cstddef>
#include <cstdint>
#include <remuda/process_pool.hpp>
#include <utility>
#include <vector>

#include "bench/support/forked_child.hpp"

namespace bench {

inline remuda::process_pool_options process_options(unsigned workers, remuda::wait_policy policy,
                                                    remuda::start_method start = remuda::start_method::zygote) {
  remuda::process_pool_options options;
  options.workers = workers;
  options.policy = policy;
  options.start = start;
  return options;
}

class remuda_process_peer {
 public:
  static constexpr const char* name = "remuda";
  static constexpr std::size_t window = 1024;
  static constexpr std::size_t share = 1;

  explicit remuda_process_peer(remuda::wait_policy policy = remuda::wait_policy::balanced, unsigned workers = 1)
      : pool_(process_options(workers, policy)), in_flight_(window) {}

  pid_t pid() const { return pool_.stats().workers.at(0).pid; }
  pid_t ask() { return pool_.submit(this_process).get(); }
  void send() { in_flight_[sent_++ % window] = pool_.submit(this_process); }
  pid_t receive() { return std::exchange(in_flight_[received_++ % window], {}).get(); }
  pid_t ask_with(std::vector<std::uint8_t>&& bytes) {
    const std::size_t size = bytes.size();
    return pool_
        .submit(
            [size](const std::vector<std::uint8_t>& arrived) { return arrived.size() == size ? this_process() : -1; },
            std::move(bytes))
        .get();
  }

 private:
  remuda::process_pool pool_;
  std::vector<remuda::future<pid_t>> in_flight_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
};

/// The policy that sleeps at once.
class remuda_efficient_process_peer : public remuda_process_peer {
 public:
  remuda_efficient_process_peer() : remuda_process_peer(remuda::wait_policy::efficient) {}
};

}  // namespace bench
