#include "runtime/os/descriptors.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "tests/support/process.hpp"

namespace remuda::os {
namespace {

// Opens many, ends all but one in the middle, and says what is wrong then.
template <class End>
std::string all_but_one(End end, bool only_at_exec) {
  std::vector<int> opened;
  for (int i = 0; i < 300; ++i) opened.push_back(open("/dev/null", O_RDONLY));
  opened.push_back(fcntl(opened[0], F_DUPFD, 800));
  const int kept = opened[150];
  end(kept);
  for (const int fd : opened) {
    const int flags = fcntl(fd, F_GETFD);
    const bool ended = only_at_exec ? (flags & FD_CLOEXEC) != 0 : flags < 0;
    if (ended == (fd == kept)) return "descriptor " + std::to_string(fd) + ", flags " + std::to_string(flags);
  }
  for (const int fd : {0, 1, 2}) {
    if (fcntl(fd, F_GETFD) != 0) return "a standard descriptor";
  }
  return "";
}

// A child whose exit code is all that it says: its pipes are among what it closes.
template <class End>
bool ends_all_but_one(End end, bool only_at_exec, bool without_proc = false) {
  const pid_t child = fork();
  if (child == 0) {
    if (without_proc && (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                         mount("none", "/proc", "tmpfs", 0, nullptr) != 0)) {
      _exit(2);
    }
    const std::string complaint = all_but_one(end, only_at_exec);
    if (!complaint.empty()) std::fprintf(stderr, "%s\n", complaint.c_str());
    _exit(complaint.empty() ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) std::puts("not tried without /proc: this process may not mount");
  return WEXITSTATUS(status) != 1;
}

TEST(Descriptors, P22_AllButOneEnd) {
  EXPECT_TRUE(ends_all_but_one(close_all_but, false));
  EXPECT_TRUE(ends_all_but_one(keep_one_over_exec, true));
}

TEST(Descriptors, P22_AlsoOnKernelsThatKnowNoRanges) {
  for (const bool only_at_exec : {false, true}) {
    for (const bool without_proc : {false, true}) {
      EXPECT_TRUE(ends_all_but_one([&](int keep) { detail::close_all_but_one_by_one(keep, only_at_exec); },
                                   only_at_exec, without_proc));
    }
  }
}

}  // namespace
}  // namespace remuda::os
