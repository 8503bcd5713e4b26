// The only program of the emulated machine. As its first process it mounts what the checks read, runs each suite of
// checks in a process of its own and switches the machine off; as such a process it runs its suite.
//
// It speaks to the script that has started the machine: a line "up" first, a line "ok NAME" or "not ok NAME" for each
// check, lines that begin with "   | " for what there is to say about it, and in the end how many checks there are.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

namespace {

/// A check that takes longer hangs.
constexpr unsigned check_seconds = 90;

class lines final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override {
    reasons_.clear();
    alarm(check_seconds);
  }
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed()) return;
    const char* const file = part.file_name() != nullptr ? part.file_name() : "?";
    const char* const name = std::strrchr(file, '/') != nullptr ? std::strrchr(file, '/') + 1 : file;
    reasons_ += std::string(name) + ":" + std::to_string(part.line_number()) + ": " + part.message() + "\n";
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    std::printf("%s %s.%s (%lld ms)\n", test.result()->Passed() ? "ok" : "not ok", test.test_suite_name(), test.name(),
                static_cast<long long>(test.result()->elapsed_time()));
    std::istringstream text(reasons_);
    for (std::string line; std::getline(text, line);) std::printf("   | %s\n", line.c_str());
    std::fflush(stdout);
  }

  std::string reasons_;
};

void mount_on(const char* folder, const char* type) {
  mkdir(folder, 0755);
  if (mount(type, folder, type, 0, nullptr) != 0) std::printf("cannot mount %s: %s\n", folder, std::strerror(errno));
}

/// The first process begins without any open file.
void open_console() {
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  const int console = open("/dev/console", O_RDWR);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) dup2(console, fd);
  if (console > STDERR_FILENO) close(console);
}

void run_suite(const char* suite) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string filter = std::string("--gtest_filter=") + suite + ".*";
    execl("/proc/self/exe", "checks", filter.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  pid_t ended = 0;
  do {  // among them whatever was orphaned
    ended = waitpid(-1, &status, 0);
  } while (ended != child && (ended > 0 || errno == EINTR));
  if (ended != child) {
    std::printf("not ok %s: no process: %s\n", suite, std::strerror(errno));
  } else if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    std::printf("not ok %s: %s\n", suite, signal == SIGALRM ? "hangs" : strsignal(signal));
  } else if (WEXITSTATUS(status) > 1) {
    std::printf("not ok %s: exit status %d\n", suite, WEXITSTATUS(status));
  }
  std::fflush(stdout);
}

[[noreturn]] void be_the_first_process() {
  open_console();
  mount_on("/proc", "proc");
  mount_on("/sys", "sysfs");
  mount_on("/sys/fs/cgroup", "cgroup2");
  mkdir("/tmp", 01777);
  std::printf("\nup\n");  // on a line of its own: what the firmware has written ends without one
  std::fflush(stdout);
  const auto& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) run_suite(all.GetTestSuite(i)->name());
  std::printf("end of %d checks\n", all.total_test_count());
  std::fflush(stdout);
  tcdrain(STDOUT_FILENO);
  reboot(RB_POWER_OFF);
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (getpid() == 1) be_the_first_process();
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new lines);
  return RUN_ALL_TESTS();
}
