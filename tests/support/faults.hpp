// Deaths at exactly known points of workers and zygotes. An armed point is a file in a folder that the processes
// inherit the name of; the first process that passes the point takes the file, so each arming hits once and its
// successor lives.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "runtime/proc/fault_point.hpp"
#include "tests/support/eventually.hpp"

namespace remuda::test {

using detail::fault;

/// To be made before the pool is.
class faults {
 public:
  static constexpr const char* variable = "REMUDA_FAULTS";

  static std::string file_of(const std::string& folder, fault point, const char* what) {
    return folder + '/' + std::to_string(static_cast<int>(point)) + '.' + what;
  }

  faults() {
    std::string name = (std::filesystem::temp_directory_path() / "remuda-faults-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    folder_ = name;
    setenv(variable, folder_.c_str(), 1);
  }
  ~faults() {
    unsetenv(variable);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;

  /// The next process that comes to the point dies there by SIGKILL.
  void die_at(fault point) const { touch(file_of(folder_, point, "die")); }
  /// The next process that comes to the point stops there, until the test continues or kills it.
  void stop_at(fault point) const { touch(file_of(folder_, point, "stop")); }

  /// Waits until a process has come to the armed point. Returns its id.
  pid_t reached(fault point) const {
    pid_t who = -1;
    EXPECT_TRUE(eventually([&] {
      for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        if (entry.path().stem().string() != std::to_string(static_cast<int>(point))) continue;
        const std::string what = entry.path().extension().string().substr(1);
        if (what != "die" && what != "stop") who = static_cast<pid_t>(std::stol(what));
      }
      return who > 0;
    })) << "nobody came to point "
        << static_cast<int>(point);
    return who;
  }

  std::string file(const std::string& name) const { return folder_ + '/' + name; }

  static void touch(const std::string& name) {
    if (!std::ofstream(name)) throw std::runtime_error("cannot write " + name);
  }

 private:
  std::string folder_;
};

}  // namespace remuda::test
