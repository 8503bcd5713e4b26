#include "tools/demo_job/digest.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace demo {
namespace {

/// One step of the reflected CRC-32 (polynomial 0xEDB88320, as in zip and Ethernet) for each value of a byte.
constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
    table[byte] = crc;
  }
  return table;
}();

constexpr bool is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class descriptor {
 public:
  /// Non-blocking, so that a file that has become a FIFO since the scan cannot hold up the task.
  explicit descriptor(const char* path) noexcept : fd_(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// 0 or an errno.
int look(int fd, digest::version& v) {
  struct stat s {};
  if (::fstat(fd, &s) != 0) return errno;
  if (!S_ISREG(s.st_mode)) return ESTALE;
  v = {s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec};
  return 0;
}

}  // namespace

digest digest_file(const std::string& path) noexcept {
  digest d;
  const descriptor file(path.c_str());
  if (file.get() < 0) {
    d.error = errno;
    return d;
  }
  d.error = look(file.get(), d.of);
  if (d.error != 0) return d;

  std::array<unsigned char, 16384> buffer;
  std::uint32_t crc = ~0U;
  bool in_word = false;
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      d.error = errno;
      return d;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      crc = (crc >> 8) ^ crc_table[(crc ^ buffer[i]) & 0xFFU];
      const bool space = is_space(buffer[i]);
      d.words += !space && !in_word ? 1 : 0;
      in_word = !space;
    }
    d.bytes += static_cast<std::uint64_t>(got);
  }
  d.crc32 = ~crc;

  digest::version after;
  d.error = look(file.get(), after);
  d.changed = after != d.of;
  return d;
}

}  // namespace demo
