#include "runtime/proc/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/os/error.hpp"

namespace remuda::detail {

output_lines::output_lines(std::function<void(std::string_view line)> line) : line_(std::move(line)) {}

bool output_lines::read_from(int fd, std::size_t limit) {
  char buffer[16 * 1024];
  while (limit > 0) {
    const ssize_t got = read(fd, buffer, std::min(sizeof buffer, limit));
    if (got == 0) return false;
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return true;
      os::throw_errno(errno, "cannot read the output of a worker");
    }
    limit -= static_cast<std::size_t>(got);
    add({buffer, static_cast<std::size_t>(got)});
  }
  return true;
}

void output_lines::add(std::string_view bytes) {
  const std::size_t looked_at = kept_.size();
  kept_.append(bytes);
  // only the new bytes can hold a line end: what was kept before has none, unless a callback threw
  if (kept_.size() > max_line || kept_.find('\n', unread_ ? 0 : looked_at) != std::string::npos) emit_lines();
}

void output_lines::finish() {
  emit_lines();
  if (kept_.empty()) return;
  const std::string last = std::exchange(kept_, {});
  line_(last);
}

void output_lines::emit_lines() {
  std::size_t at = 0;
  // whatever happens in the callback, what it got is gone and what it did not get is kept
  struct cut {
    std::string& kept;
    std::size_t& at;
    ~cut() { kept.erase(0, at); }
  } const at_the_end{kept_, at};
  unread_ = true;
  for (;;) {
    const std::string_view rest = std::string_view(kept_).substr(at);
    const std::size_t length = rest.substr(0, max_line + 1).find('\n');
    if (length != std::string_view::npos) {
      at += length + 1;
      line_(rest.substr(0, length));
    } else if (rest.size() > max_line) {
      // a line of exactly max_line bytes is no overlong one, so its end may still come
      at += max_line;
      line_(rest.substr(0, max_line));
    } else {
      break;
    }
  }
  unread_ = false;
}

}  // namespace remuda::detail
