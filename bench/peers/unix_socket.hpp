// A pair of Unix stream sockets.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench/support/byte_stream.hpp"
#include "bench/support/forked_child.hpp"
#include "runtime/os/unique_fd.hpp"

namespace bench {

class unix_socket_peer {
 public:
  static constexpr const char* name = "unix_socket";
  static constexpr std::size_t window = 128;  // a message of four bytes takes hundreds of the socket's buffer
  static constexpr std::size_t share = 16;

  pid_t pid() const { return child_.pid(); }
  void send() { stream_.send(); }
  pid_t receive() { return stream_.receive(); }
  pid_t ask() { return stream_.ask(); }
  pid_t ask_with(std::vector<std::uint8_t>&& bytes) { return stream_.ask_with(std::move(bytes)); }

 private:
  struct ends {
    ends() {
      std::array<int, 2> fds{};
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) throw_errno("socketpair");
      ours.reset(fds[0]);
      theirs.reset(fds[1]);
    }
    remuda::os::unique_fd ours;
    remuda::os::unique_fd theirs;
  };

  ends ends_;
  forked_child child_{[this] { byte_stream::serve(ends_.theirs.get(), ends_.theirs.get()); }};
  byte_stream stream_{ends_.ours.get(), ends_.ours.get()};
};

}  // namespace bench
