// Boost.Asio's thread_pool.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <utility>

namespace bench {

class asio_peer {
 public:
  static constexpr const char* name = "asio";
  static constexpr bool keeps_workers = true;
  static constexpr std::size_t share = 1;

  explicit asio_peer(unsigned workers) : pool_(workers) {}
  ~asio_peer() { pool_.join(); }
  asio_peer(const asio_peer&) = delete;
  asio_peer& operator=(const asio_peer&) = delete;

  template <class F>
  void post(F f) {
    boost::asio::post(pool_, std::move(f));
  }
  template <class F>
  void spawn(F f) {
    post(std::move(f));
  }
  template <class F>
  auto submit(F f) {
    return boost::asio::post(pool_, boost::asio::use_future(std::move(f)));
  }
  template <class F>
  void run_child(F f) {
    submit(std::move(f)).get();
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace bench
