// Lines out of what a worker writes to stdout or stderr.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace remuda::detail {

/// Cuts a stream of bytes into lines. One thread at a time.
class output_lines {
 public:
  /// Longer lines are cut into pieces of this size, so that a worker which writes no line end cannot fill the parent.
  static constexpr std::size_t max_line = std::size_t{64} * 1024;

  /// `line` gets each line, without its line end; the view is good during the call. It must not call back in here.
  explicit output_lines(std::function<void(std::string_view line)> line);

  /// Reads what is there now, at most `limit` bytes, so that one that writes without end cannot keep the reader for
  /// itself. False: the other end is closed and nothing will come; call finish(). Never blocks when `fd` is
  /// non-blocking. Throws std::system_error, and what the callback throws; then no byte is lost but those of the line
  /// that the callback got.
  bool read_from(int fd, std::size_t limit = 16 * max_line);

  /// Takes bytes that somebody else has read.
  void add(std::string_view bytes);

  /// Emits what is left as a last line. The worker's writer is gone.
  void finish();

 private:
  void emit_lines();

  std::function<void(std::string_view)> line_;
  std::string kept_;     // the beginning of a line; after a callback has thrown, lines too
  bool unread_ = false;  // kept_ may hold lines
};

}  // namespace remuda::detail
