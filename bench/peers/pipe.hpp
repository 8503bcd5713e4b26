// Two pipes.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench/support/byte_stream.hpp"
#include "bench/support/forked_child.hpp"
#include "runtime/os/unique_fd.hpp"

namespace bench {

class pipe_peer {
 public:
  static constexpr const char* name = "pipe";
  static constexpr std::size_t window = 256;
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
      if (pipe2(fds.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
      out.reset(fds[0]);
      in.reset(fds[1]);
    }
    remuda::os::unique_fd out;
    remuda::os::unique_fd in;
  };

  ends questions_;
  ends answers_;
  forked_child child_{[this] { byte_stream::serve(questions_.out.get(), answers_.in.get()); }};
  byte_stream stream_{questions_.in.get(), answers_.out.get()};
};

}  // namespace bench
