// What the system says about this process: its threads, its descriptors; and children that end in bounded time.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/read_file.hpp"

namespace remuda::test {

inline bool is_thread(pid_t thread) {
  std::error_code gone;
  return std::filesystem::exists("/proc/self/task/" + std::to_string(thread), gone);
}

/// Waits for a thread that was joined to leave the system's lists too, which takes a moment.
inline void start_and_end_a_thread() {
  pid_t id = 0;
  std::thread([&id] { id = gettid(); }).join();
  EXPECT_TRUE(eventually([id] { return !is_thread(id); }));
}

inline std::string thread_file(pid_t thread, const char* name) {
  return read_file("/proc/self/task/" + std::to_string(thread) + "/" + name);
}

/// What the thread's stat file says after its name, which may hold anything; empty when the thread is gone.
inline std::string stat_after_name(pid_t thread) {
  const std::string stat = thread_file(thread, "stat");
  const auto end_of_name = stat.rfind(')');
  return end_of_name == std::string::npos ? "" : stat.substr(end_of_name + 1);
}

/// A thread that was joined may still be in the system's lists for a moment, but the kernel marks it before join()
/// returns.
inline bool is_exiting(pid_t thread) {
  std::istringstream fields(stat_after_name(thread));
  std::string other;
  for (int i = 0; i < 6; ++i) fields >> other;  // state, parent, group, session, terminal and its group
  unsigned long flags = 0;
  fields >> flags;
  constexpr unsigned long pf_exiting = 0x4;
  return !fields || (flags & pf_exiting) != 0;
}

/// The threads of this process that have not ended.
inline std::set<pid_t> thread_ids() {
  // A sanitizer starts a thread of its own beside the first one; it shall not look like one that a test has started.
  [[maybe_unused]] static const bool first_time = (start_and_end_a_thread(), true);
  std::set<pid_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const auto id = static_cast<pid_t>(std::stol(entry.path().filename().string()));
    if (!is_exiting(id)) ids.insert(id);
  }
  return ids;
}

inline std::set<std::string> descriptors() {
  std::set<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    // the one that lists the folder is gone when this is asked
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone && target != "/proc/" + std::to_string(getpid()) + "/fd") {
      all.insert(entry.path().filename().string() + " -> " + target.string());
    }
  }
  return all;
}

inline std::string thread_name(pid_t thread) {
  std::string name = thread_file(thread, "comm");
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

/// True when the kernel says that the thread sleeps.
inline bool is_asleep(pid_t thread) { return stat_after_name(thread).starts_with(" S"); }

/// True when the process is one that a zygote keeps for the next worker, and has come to its sleep.
inline bool is_waiting_in_reserve(pid_t process) {
  return read_file("/proc/" + std::to_string(process) + "/stat").find("(remuda-reserve) S") != std::string::npos;
}

/// A line "KEY: NUMBER" of the thread's status file; -1 without it.
inline long thread_status(pid_t thread, const std::string& key) {
  std::istringstream lines(thread_file(thread, "status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return std::stol(line.substr(key.size() + 1));
  }
  return -1;
}

/// CPU time that the thread has used so far, in nanoseconds; -1 when it is gone.
inline long long thread_cpu_time(pid_t thread) {
  // how Linux encodes "the scheduler's clock of this thread" (see CPUCLOCK_PERTHREAD in the kernel)
  const auto clock = static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | 6U);
  timespec t{};
  return clock_gettime(clock, &t) == 0 ? t.tv_sec * 1'000'000'000LL + t.tv_nsec : -1;
}

struct child_result {
  bool in_time = false;   ///< it ended by itself within the bound; else it was killed
  int exit_code = -1;     ///< -1: ended by a signal
  std::string complaint;  ///< what its body returned or threw; empty: all was well
};

inline std::ostream& operator<<(std::ostream& out, const child_result& r) {
  return out << (r.in_time ? "ended in time" : "had to be killed") << ", exit code " << r.exit_code << ", complaint \""
             << r.complaint << '"';
}

inline bool well(const child_result& r) { return r.in_time && r.exit_code == 0 && r.complaint.empty(); }

/// Runs `body` in a fork()ed child. `body` returns a complaint, empty when all is well; the child then ends by _exit(),
/// unless the body itself calls exit().
template <class Body>
child_result in_child(Body&& body, std::chrono::milliseconds bound = generous) {
  child_result result;
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::fflush(nullptr);  // or the child prints it again
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    close(ends[0]);
    std::string complaint;
    try {
      complaint = body();
    } catch (const std::exception& e) {
      complaint = std::string("it threw: ") + e.what();
    } catch (...) {
      complaint = "it threw";
    }
    // a complaint is far shorter than a pipe is deep, so this cannot block
    const bool told = write(ends[1], complaint.data(), complaint.size()) == static_cast<ssize_t>(complaint.size());
    _exit(complaint.empty() && told ? 0 : 1);
  }
  close(ends[1]);
  int status = 0;
  result.in_time = static_cast<bool>(eventually([&] { return waitpid(child, &status, WNOHANG) == child; }, bound));
  if (!result.in_time) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  char buffer[4096];
  const ssize_t length = read(ends[0], buffer, sizeof buffer);
  if (length > 0) result.complaint.assign(buffer, static_cast<std::size_t>(length));
  close(ends[0]);
  return result;
}

}  // namespace remuda::test
