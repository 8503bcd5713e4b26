// std::async: a thread per task (in libstdc++), with a future.
#pragma once

#include <cstddef>
#include <future>
#include <utility>

namespace bench {

class std_async_peer {
 public:
  static constexpr const char* name = "std_async";
  static constexpr bool keeps_workers = false;
  static constexpr std::size_t share = 128;

  explicit std_async_peer(unsigned /*workers*/) {}

  template <class F>
  auto submit(F f) {
    return std::async(std::launch::async, std::move(f));
  }
  template <class F>
  void run_child(F f) {
    submit(std::move(f)).get();
  }
};

}  // namespace bench
