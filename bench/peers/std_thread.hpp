// std::thread: a thread per task.
#pragma once

#include <cstddef>
#include <future>
#include <thread>
#include <utility>

namespace bench {

class std_thread_peer {
 public:
  static constexpr const char* name = "std_thread";
  static constexpr bool keeps_workers = false;
  static constexpr std::size_t share = 128;

  explicit std_thread_peer(unsigned /*workers*/) {}

  template <class F>
  void post(F f) {
    std::thread(std::move(f)).detach();
  }
  template <class F>
  void spawn(F f) {
    post(std::move(f));
  }

  template <class R>
  class result {
   public:
    explicit result(std::packaged_task<R()> task) : value_(task.get_future()), thread_(std::move(task)) {}
    R get() {
      thread_.join();
      return value_.get();
    }

   private:
    std::future<R> value_;
    std::thread thread_;
  };

  template <class F>
  auto submit(F f) {
    using value = decltype(f());
    return result<value>(std::packaged_task<value()>(std::move(f)));
  }
  template <class F>
  void run_child(F f) {
    submit(std::move(f)).get();
  }
};

}  // namespace bench
