// The ways that start a process for each file: by fork(), and by posix_spawn() of this program.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "tools/demo_job/task.hpp"

namespace demo {

/// The error of an outcome whose process died before it could tell one.
extern const int process_died;

/// Children that send their outcome through a pipe each. None outlives it: what has not been waited for is killed.
class one_process_each {
 public:
  outcome finish(std::size_t i);

  /// Children that may be there at once.
  std::size_t at_most() const { return at_most_; }
  /// Started so far.
  std::size_t processes() const { return started_; }

  one_process_each(const one_process_each&) = delete;
  one_process_each& operator=(const one_process_each&) = delete;

 protected:
  struct child {
    pid_t pid = -1;
    int result = -1;  ///< the end of the pipe to read from
  };

  one_process_each(std::size_t tasks, unsigned workers);
  ~one_process_each();
  void add(std::size_t i, child c);

 private:
  std::vector<child> children_;
  std::size_t at_most_;
  std::size_t started_ = 0;
};

class one_fork_each : public one_process_each {
 public:
  one_fork_each(std::size_t tasks, unsigned workers) : one_process_each(tasks, workers) {}
  /// Throws std::system_error when the system gives no process or pipe; so does one_spawn_each.
  void start(std::size_t i, const std::string& path);
};

class one_spawn_each : public one_process_each {
 public:
  one_spawn_each(std::size_t tasks, unsigned workers) : one_process_each(tasks, workers) {}
  void start(std::size_t i, const std::string& path);
};

/// In a process that one_spawn_each started: does its file and ends the process. Any other: returns at once.
/// To be called first in main().
void serve_if_spawned(int argc, char** argv);

}  // namespace demo
