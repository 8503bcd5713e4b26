// A program that is run to its end, or to the end of our patience, and of which nothing is left running afterwards:
// benchmark programs start shells, interpreters and worker processes, some of which would outlive them and load the
// machine under the next one.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace remuda::tool::bench {

struct ended {
  enum class how { exited, killed, timed_out, interrupted, not_started };

  how way = how::exited;
  int code = 0;  ///< exit status; of killed and interrupted the signal; of not_started the errno
  double seconds = 0;

  bool well() const { return way == how::exited && code == 0; }
};

/// Runs a program, with its standard output and error appended to `log`, until it ends, takes longer than `patience`,
/// or this process is asked to end by SIGINT, SIGTERM or SIGHUP. Then it and whatever it started is killed. Calls
/// `meanwhile`, if any, once a second. While it runs these signals do nothing else to this process.
/// REQUIRES: this process has no other children and no other threads.
ended run_to_end(const std::vector<std::string>& command, const std::filesystem::path& log,
                 std::chrono::duration<double> patience, const std::function<void(double seconds)>& meanwhile = {});

/// The text of what happened, for messages: "exit status 3", "killed by signal 11 (Segmentation fault)".
std::string to_text(const ended&);

}  // namespace remuda::tool::bench
