#include "runtime/os/pidfd.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

#include "tests/support/process.hpp"

namespace remuda::os {
namespace {

using namespace std::chrono_literals;

pid_t sleeping_child() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  return child;
}

TEST(Pidfd, P25_TellsOfTheEndAndItsKind) {
  const pid_t child = sleeping_child();
  const unique_fd fd = pidfd_open(child);
  EXPECT_FALSE(has_ended(fd.get()));
  EXPECT_FALSE(reap(fd.get()));
  EXPECT_FALSE(wait_until_ended(fd.get(), 1ms));
  EXPECT_EQ(send_signal(fd.get(), SIGTERM), 0);
  EXPECT_TRUE(wait_until_ended(fd.get(), test::generous));
  EXPECT_TRUE(has_ended(fd.get()));
  const std::optional<int> status = reap(fd.get());
  ASSERT_TRUE(status);
  ASSERT_TRUE(WIFSIGNALED(*status));
  EXPECT_EQ(WTERMSIG(*status), SIGTERM);
  EXPECT_FALSE(reap(fd.get())) << "reaped twice";
  EXPECT_EQ(send_signal(fd.get(), SIGTERM), ESRCH);
}

TEST(Pidfd, P25_AnExitCodeComesAsWaitpidHasIt) {
  for (const int code : {0, 1, 127, 255}) {
    const pid_t child = fork();
    if (child == 0) _exit(code);
    const unique_fd fd = pidfd_open(child);
    ASSERT_TRUE(wait_until_ended(fd.get(), test::generous));
    const std::optional<int> status = reap(fd.get());
    ASSERT_TRUE(status && WIFEXITED(*status));
    EXPECT_EQ(WEXITSTATUS(*status), code);
  }
}

TEST(Pidfd, P25_SomebodyElseMayHaveReapedIt) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  const unique_fd fd = pidfd_open(child);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(has_ended(fd.get()));
  EXPECT_FALSE(reap(fd.get()));
}

TEST(Pidfd, P25_NoSuchProcessIsAnError) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THROW(pidfd_open(child), std::system_error);
}

}  // namespace
}  // namespace remuda::os
