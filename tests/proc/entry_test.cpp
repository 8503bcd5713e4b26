#include "runtime/proc/entry.hpp"

#include <sys/wait.h>

#include "remuda/error.hpp"
#include "remuda/process_entry.hpp"
#include "runtime/os/socket.hpp"
#include "tests/proc/worker_double.hpp"

namespace remuda::test {
namespace {

/// Sets the variable that makes a zygote, in this process.
class variable {
 public:
  explicit variable(const std::string& value) { setenv(detail::zygote_variable, value.c_str(), 1); }
  ~variable() { unsetenv(detail::zygote_variable); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
};

const bool linked_before_main = detail::entry_is_linked();

TEST(Entry, P24_IsLinkedIntoWhatTheTargetIsLinkedTo) {
  EXPECT_TRUE(linked_before_main);
  EXPECT_TRUE(detail::entry_is_linked());
}

TEST(Entry, P24_AnOrdinaryProcessIsNoZygoteAndItsMainGoesOn) {
  EXPECT_FALSE(zygote_start_seen_before_main);
  EXPECT_FALSE(detail::in_zygote_start());
  for (int i = 0; i < 3; ++i) process_entry(0, nullptr);
  EXPECT_FALSE(detail::in_zygote_start());
}

// A program that a static constructor starts inherits the variable; so may one whose user has set it by mistake.
TEST(Entry, P24_AVariableThatMeansAnotherProcessMeansNothing) {
  const std::string self = std::to_string(getpid());
  for (const std::string& value :
       {std::string(), std::string("1"), std::string("3 1 1"), "3 " + self, self, "3 1 " + self + "0",
        "3 1 " + self + " ", "3 1 x" + self, "3  1 " + self, std::string("99999999999 1 ") + self}) {
    const variable v(value);
    EXPECT_FALSE(detail::in_zygote_start()) << '"' << value << '"';
    process_entry(0, nullptr);  // returns
  }
}

TEST(Entry, P24_TheVariableThatMeansThisProcessIsSeenBeforeMain) {
  const variable v("3 1 " + std::to_string(getpid()));
  EXPECT_TRUE(detail::in_zygote_start());
}

// Runs this program with the variable set for it; what its main() would print is returned, with the wait status.
std::pair<std::string, int> run_as_zygote(const std::string& socket, const std::string& parent) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    setenv(detail::zygote_variable, (socket + ' ' + parent + ' ' + std::to_string(getpid())).c_str(), 1);
    execl("/proc/self/exe", "test", "--gtest_list_tests", nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::string printed;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    printed.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return {printed, status};
}

TEST(Entry, P24_NeverRunsMainInAZygoteThatCannotWork) {
  const std::string self = std::to_string(getpid());
  // no such descriptor; no socket; a parent that is gone
  for (const auto& [socket, parent] : {std::pair<std::string, std::string>{"900", self}, {"0", self}, {"900", "1"}}) {
    const auto [printed, status] = run_as_zygote(socket, parent);
    EXPECT_EQ(printed, "") << "main() has run";
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE) << status;
  }
}

}  // namespace
}  // namespace remuda::test
