// What workers write to stdout and stderr, on the pool's own thread.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/proc/process_core.hpp"

namespace remuda::detail {
namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

void process_core::put_line(output_stream stream, unsigned worker, std::string_view line) {
  if (!options_.on_output) {
    std::string text(line);
    text += '\n';
    return write_all(stream == output_stream::out ? STDOUT_FILENO : STDERR_FILENO, text);
  }
  try {
    options_.on_output(stream, worker, line);
  } catch (...) {
    report(std::current_exception());
  }
}

/// `to_the_end`: the process is gone, nothing more will come (but from processes that it has started, which do not
/// count).
void process_core::read_output(lane& l, bool to_the_end) {
  const auto read_one = [&](os::unique_fd& fd, std::optional<output_lines>& lines) {
    if (!fd || !lines) return;
    bool more = false;
    try {
      more = lines->read_from(fd.get());
    } catch (...) {
      report(std::current_exception());
    }
    if (to_the_end || !more) lines->finish();
    if (!more) {  // closed by the worker: else it would be readable for ever
      epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
      fd.reset();
    }
  };
  read_one(l.out, l.out_lines);
  read_one(l.err, l.err_lines);
  if (!to_the_end) put_lines(l);
}

/// The lines read so far, taken out first: the user's function may wait, and this thread then reads more meanwhile.
void process_core::put_lines(lane& l) {
  const auto lines = std::exchange(l.lines, {});
  for (const auto& [stream, line] : lines) put_line(stream, l.index, line);
}

}  // namespace remuda::detail
