// remuda itself, seen through the interface that all peers have.
//
// A peer is a class with
//   name                  how the table calls it
//   keeps_workers         its threads outlive a task
//   share                 it gets 1/share of the tasks of a throughput row; the figures are for one task
//   Peer(workers)         a pool of its own; the destructor leaves no thread behind
//   post(f)               from outside, nobody waits for it
//   spawn(f)              the same from inside a task, in the peer's own idiom
//   submit(f)             gives something with get()
// and, where the peer has such a thing,
//   submit_then(f, g)     g runs on completion of f
//   submit_and_help(f)    waits for f, and runs it here if nobody has started it
//   run_child(f)          from inside a task: starts f and waits for it
// What is missing is missing in the class; the rows find out.
#pragma once

#include <utility>

#include "remuda/remuda.hpp"

namespace bench {

class remuda_peer {
 public:
  static constexpr const char* name = "remuda";
  static constexpr bool keeps_workers = true;
  static constexpr std::size_t share = 1;

  explicit remuda_peer(unsigned workers, remuda::wait_policy policy = remuda::wait_policy::balanced)
      : pool_([&] {
          remuda::thread_pool_options options;
          options.workers = workers;
          options.policy = policy;
          return options;
        }()) {}

  template <class F>
  void post(F f) {
    pool_.post(std::move(f));
  }
  template <class F>
  void spawn(F f) {
    pool_.post(std::move(f));
  }
  template <class F>
  auto submit(F f) {
    return pool_.submit(std::move(f));
  }
  template <class F, class G>
  void submit_then(F f, G g) {
    pool_.submit(std::move(f)).on_done([g = std::move(g)](const auto&) mutable { g(); });
  }
  template <class F>
  void submit_and_help(F f) {
    const auto result = pool_.submit(std::move(f));
    result.run_here();
    result.get();
  }
  template <class F>
  void run_child(F f) {
    pool_.submit(std::move(f)).get();
  }

 private:
  remuda::thread_pool pool_;
};

/// The policy that sleeps at once.
class remuda_efficient_peer : public remuda_peer {
 public:
  static constexpr const char* name = "remuda_efficient";
  explicit remuda_efficient_peer(unsigned workers) : remuda_peer(workers, remuda::wait_policy::efficient) {}
};

}  // namespace bench
