// Boost.Interprocess' message_queue, two of them.
#pragma once

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/support/forked_child.hpp"

namespace bench {

template <std::size_t MessageBytes, std::size_t Messages>
class basic_boost_mq {
 public:
  static constexpr const char* name = "boost_mq";
  static constexpr std::size_t window = Messages;
  static constexpr std::size_t share = 16;

  pid_t pid() const { return child_.pid(); }
  void send() { put(questions_.queue, 0); }
  pid_t receive() {
    pid_t answered_by = -1;
    take(answers_.queue, &answered_by, sizeof answered_by);
    return answered_by;
  }
  pid_t ask() {
    send();
    return receive();
  }
  pid_t ask_with(std::vector<std::uint8_t>&& bytes) {
    questions_.queue.send(bytes.data(), bytes.size(), 0);
    return receive();
  }

 private:
  using message_queue = boost::interprocess::message_queue;

  static void put(message_queue& to, pid_t value) { to.send(&value, sizeof value, 0); }
  static void take(message_queue& from, void* bytes, std::size_t room) {
    message_queue::size_type got = 0;
    unsigned priority = 0;
    from.receive(bytes, room, got, priority);
  }

  struct named {
    named(const char* what, std::size_t message_bytes)
        : name("remuda-bench-" + std::to_string(getpid()) + what),
          queue(boost::interprocess::create_only, name.c_str(), Messages, message_bytes) {
      message_queue::remove(name.c_str());  // the child inherits the mapping
    }
    std::string name;
    message_queue queue;
  };

  named questions_{"-questions", MessageBytes};
  named answers_{"-answers", sizeof(pid_t)};
  forked_child child_{[this] {
    std::vector<std::uint8_t> own(MessageBytes);
    for (const pid_t me = getpid();;) {
      take(questions_.queue, own.data(), own.size());
      put(answers_.queue, me);
    }
  }};
};

using boost_mq_peer = basic_boost_mq<sizeof(pid_t), 256>;
using boost_mq_payload_peer = basic_boost_mq<std::size_t{1} << 20, 1>;

}  // namespace bench
