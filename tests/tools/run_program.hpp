// Runs a program as a user would and tells what came out of it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/read_file.hpp"

namespace tools_test {

using remuda::test::read_file;

/// A folder for one test, gone with it.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "remuda_test_XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) throw std::filesystem::filesystem_error("mkdtemp", name, std::error_code());
    path_ = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// A file in it with these contents; folders on the way are made.
  std::filesystem::path write(const std::filesystem::path& name, const std::string& contents) const {
    auto path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }

 private:
  std::filesystem::path path_;
};

struct finished {
  int status = -1;  ///< exit status; -1 when a signal ended it
  std::string out;
  std::string err;
};

/// Standard output and error go to files, so that none can fill up. `prepare` runs in the child before the program, and
/// may put something else in the place of its descriptors 0 to 2 or set limits; only async-signal-safe calls.
inline finished run_program(const std::vector<std::string>& command, const std::function<void()>& prepare = {}) {
  const temporary_folder folder;
  const auto out = (folder.path() / "out").native();
  const auto err = (folder.path() / "err").native();
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  const pid_t child = ::fork();
  if (child == 0) {
    constexpr int to_be_empty = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    ::dup2(::open(out.c_str(), to_be_empty, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), to_be_empty, 0600), STDERR_FILENO);
    if (prepare) prepare();
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  finished f;
  int state = 0;
  if (child > 0 && ::waitpid(child, &state, 0) == child && WIFEXITED(state)) f.status = WEXITSTATUS(state);
  f.out = read_file(out);
  f.err = read_file(err);
  return f;
}

}  // namespace tools_test
