// Two POSIX message queues, of the few messages that an ordinary user may have in one.
#pragma once

#include <fcntl.h>
#include <mqueue.h>

#include <cerrno>
#include <string>

#include "bench/support/forked_child.hpp"

namespace bench {

class posix_mq_peer {
 public:
  static constexpr const char* name = "posix_mq";
  static constexpr std::size_t window = 8;
  static constexpr std::size_t share = 16;

  pid_t pid() const { return child_.pid(); }
  void send() { questions_.put(0); }
  pid_t receive() { return answers_.take(); }
  pid_t ask() {
    send();
    return receive();
  }

 private:
  class queue {
   public:
    explicit queue(const char* what) {
      const std::string path = "/remuda-bench-" + std::to_string(getpid()) + what;
      mq_attr attributes{};
      attributes.mq_maxmsg = window;
      attributes.mq_msgsize = sizeof(pid_t);
      queue_ = mq_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
      if (queue_ < 0) throw_errno("mq_open");
      mq_unlink(path.c_str());  // the child inherits the descriptor
    }
    ~queue() { mq_close(queue_); }
    queue(const queue&) = delete;
    queue& operator=(const queue&) = delete;

    void put(pid_t value) const {
      if (mq_send(queue_, reinterpret_cast<const char*>(&value), sizeof value, 0) != 0) throw_errno("mq_send");
    }
    pid_t take() const {
      pid_t value = -1;
      if (mq_receive(queue_, reinterpret_cast<char*>(&value), sizeof value, nullptr) < 0) throw_errno("mq_receive");
      return value;
    }

   private:
    mqd_t queue_;
  };

  queue questions_{"-questions"};
  queue answers_{"-answers"};
  forked_child child_{[this] {
    for (const pid_t me = getpid();;) {
      questions_.take();
      answers_.put(me);
    }
  }};
};

}  // namespace bench
