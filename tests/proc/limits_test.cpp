#include "runtime/proc/limits.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/support/process.hpp"

namespace remuda::test {
namespace {

using detail::worker_settings;

TEST(Limits, P28_AddressSpaceEndsInAnErrorOfTheAllocation) {
  const child_result r = in_child([]() -> std::string {
    // the sanitizers have their shadow memory mapped, which is larger than any sensible limit: nothing more is what
    // the limit means then, and that is what is tested
    worker_settings s;
    s.address_space = 1UL << 30;
    detail::apply_limits(s);
    void* const p = mmap(nullptr, 2UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED && errno == ENOMEM ? "" : "got more than the limit";
  });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Limits, P28_CpuTimeEndsASpinningProcess) {
  const pid_t child = fork();
  if (child == 0) {
    worker_settings s;
    s.cpu_seconds = 1;
    detail::apply_limits(s);
    signal(SIGXCPU, SIG_IGN);  // does not help
    for (volatile unsigned turns = 0;;) turns = turns + 1;
  }
  int status = 0;
  ASSERT_TRUE(eventually([&] { return waitpid(child, &status, WNOHANG) == child; }));
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(Limits, P28_DescriptorsEndAtTheLimit) {
  const child_result r = in_child([]() -> std::string {
    worker_settings s;
    s.open_files = 20;
    detail::apply_limits(s);
    int last = 0;
    for (int fd = 0; fd >= 0; fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) last = fd;
    if (errno != EMFILE || last >= 20) return "opened descriptor " + std::to_string(last);
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    return now.rlim_max == 20 ? "" : "a task could lift the limit";
  });
  EXPECT_TRUE(well(r)) << r;
}

TEST(Limits, P28_NoneAskedForChangesNoneAndAboveTheParentsIsTheParents) {
  const child_result r = in_child([]() -> std::string {
    rlimit before[3], after[3];
    const auto read = [](rlimit* to) {
      getrlimit(RLIMIT_AS, to);
      getrlimit(RLIMIT_CPU, to + 1);
      getrlimit(RLIMIT_NOFILE, to + 2);
    };
    read(before);
    detail::apply_limits({});
    read(after);
    for (int i = 0; i < 3; ++i) {
      if (before[i].rlim_cur != after[i].rlim_cur || before[i].rlim_max != after[i].rlim_max) return "changed";
    }
    worker_settings s;
    s.open_files = 20;
    detail::apply_limits(s);
    s.open_files = 30;
    detail::apply_limits(s);
    getrlimit(RLIMIT_NOFILE, after);
    return after->rlim_cur == 20 ? "" : "above the hard limit";
  });
  EXPECT_TRUE(well(r)) << r;
}

}  // namespace
}  // namespace remuda::test
