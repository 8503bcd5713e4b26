// Questions that several tests ask a process pool, and two things in files, which go on from process to process: a
// count and a gate.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "remuda/error.hpp"
#include "remuda/process_pool.hpp"
#include "tests/support/eventually.hpp"

namespace remuda::test {

inline process_pool_options with_workers(unsigned n, start_method start = start_method::zygote) {
  process_pool_options options;
  options.workers = n;
  options.start = start;
  return options;
}

/// The workers' processes, once each place has one. Fails the test when that does not come true.
inline std::vector<pid_t> processes_of(const process_pool& pool) {
  std::vector<pid_t> all;
  EXPECT_TRUE(eventually([&] {
    all.clear();
    for (const auto& w : pool.stats().workers) all.push_back(w.pid);
    return std::count(all.begin(), all.end(), -1) == 0;
  }));
  return all;
}

/// False also for a zombie's process id that nobody has waited for yet.
inline bool is_there(pid_t process) { return ::kill(process, 0) == 0; }

/// -1 when the process is gone.
inline pid_t parent_of(pid_t process) {
  std::ifstream lines("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("PPid:")) return static_cast<pid_t>(std::stol(line.substr(5)));
  }
  return -1;
}

/// As in ps: 'T' is stopped. '\0' when the process is gone.
inline char state_of(pid_t process) {
  std::ifstream lines("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("State:")) return line.at(line.find_first_not_of(" \t", 6));
  }
  return '\0';
}

/// Children of all its threads. Those that nobody has waited for yet count.
inline std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> all;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream in(task.path() / "children");
    all.insert(all.end(), std::istream_iterator<pid_t>(in), {});
  }
  return all;
}

/// The death that the future reports; fails the test when it reports anything else.
template <class T>
worker_died death_of(const future<T>& f) {
  try {
    f.get();
    ADD_FAILURE() << "it has a value";
  } catch (const worker_died& e) {
    return e;
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
  return {0, 0};
}

/// What the future reports as error E; fails the test when it reports anything else.
template <class E, class T>
std::string text_of(const future<T>& f) {
  try {
    f.get();
    ADD_FAILURE() << "it has a value";
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
  return {};
}

/// A count in a file: it goes on from process to process.
class shared_count {
 public:
  shared_count() {
    std::string name = testing::TempDir() + "/remuda-count-XXXXXX";
    const int fd = mkstemp(name.data());
    if (fd < 0) throw std::runtime_error("no temporary file");
    close(fd);
    path_ = name;
  }
  ~shared_count() { unlink(path_.c_str()); }
  shared_count(const shared_count&) = delete;
  shared_count& operator=(const shared_count&) = delete;

  const std::string& path() const { return path_; }

  long value() const {
    struct stat s {};
    return ::stat(path_.c_str(), &s) == 0 ? static_cast<long>(s.st_size) : -1;
  }

  /// In whatever process: one more; returns how many there are then.
  static long add(const std::string& path) {
    const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, "x", 1) != 1) throw std::runtime_error("no such count: " + path);
    const off_t at = lseek(fd, 0, SEEK_CUR);  // after the byte just written
    close(fd);
    return at;
  }

 private:
  std::string path_;
};

/// Holds tasks back, in whatever process they run, until the test opens it or leaves its scope. Declared after the
/// pool, it lets the pool's tasks end.
class file_gate {
 public:
  const std::string& path() const { return file_.path(); }
  void open() const { unlink(path().c_str()); }

  /// What a held task calls, with the path().
  static void wait(const std::string& path) {
    if (!eventually([&] { return access(path.c_str(), F_OK) != 0; }))
      throw std::runtime_error("nobody opened the gate");
  }

 private:
  const shared_count file_;
};

}  // namespace remuda::test
