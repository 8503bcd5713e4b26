// Questions and answers through a pair of descriptors that carry bytes.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "bench/support/forked_child.hpp"

namespace bench {

/// False at the end of the stream.
inline bool read_all(int fd, void* to, std::size_t n) {
  for (auto* at = static_cast<std::uint8_t*>(to); n > 0;) {
    const ssize_t got = read(fd, at, n);
    if (got == 0) return false;
    if (got < 0 && errno != EINTR) throw_errno("read");
    if (got < 0) continue;
    at += got;
    n -= static_cast<std::size_t>(got);
  }
  return true;
}

inline void write_all(int fd, const void* from, std::size_t n) {
  for (const auto* at = static_cast<const std::uint8_t*>(from); n > 0;) {
    const ssize_t put = write(fd, at, n);
    if (put < 0 && errno != EINTR) throw_errno("write");
    if (put < 0) continue;
    at += put;
    n -= static_cast<std::size_t>(put);
  }
}

/// The asking side: a question is its size and its bytes, an answer who gave it.
class byte_stream {
 public:
  byte_stream(int questions, int answers) : questions_(questions), answers_(answers) {}

  void send() {
    const std::uint32_t nothing = 0;
    write_all(questions_, &nothing, sizeof nothing);
  }
  pid_t receive() {
    pid_t answered_by = -1;
    if (!read_all(answers_, &answered_by, sizeof answered_by)) throw std::runtime_error("the child has ended");
    return answered_by;
  }
  pid_t ask() {
    send();
    return receive();
  }
  pid_t ask_with(std::vector<std::uint8_t>&& bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    write_all(questions_, &size, sizeof size);
    write_all(questions_, bytes.data(), bytes.size());
    return receive();
  }

  /// In the child.
  static void serve(int questions, int answers) {
    std::vector<std::uint8_t> own(std::size_t{1} << 20);
    const pid_t me = getpid();
    for (std::uint32_t size = 0; read_all(questions, &size, sizeof size);) {
      if (size != 0) read_all(questions, own.data(), size);
      write_all(answers, &me, sizeof me);
    }
  }

 private:
  int questions_;
  int answers_;
};

}  // namespace bench
