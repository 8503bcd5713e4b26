// A program that is executed for one task.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

/// The argument with which a benchmark program that knows it ends at the top of main().
inline constexpr const char* end_at_once = "--end-at-once";

/// Runs `command` to its end by posix_spawn. Throws when it fails.
inline void spawn_and_wait(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (posix_spawn(&pid, arguments.front(), nullptr, nullptr, arguments.data(), environ) != 0) {
    throw std::runtime_error("cannot start " + command.front());
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error(command.front() + " failed");
}

}  // namespace bench
