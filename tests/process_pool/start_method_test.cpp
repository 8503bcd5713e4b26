// How a pool's processes come to be, and what a system that refuses them something means for the constructor.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/tools/run_program.hpp"

namespace {

using remuda::start_method;
using remuda::test::child_result;
using remuda::test::children_of;
using remuda::test::death_of;
using remuda::test::descriptors;
using remuda::test::in_child;
using remuda::test::well;
using remuda::test::with_workers;

int twice(int n) { return 2 * n; }

class BothWays : public testing::TestWithParam<start_method> {};

INSTANTIATE_TEST_SUITE_P(, BothWays, testing::Values(start_method::zygote, start_method::fork),
                         [](const auto& p) { return p.param == start_method::fork ? "fork" : "zygote"; });

TEST_P(BothWays, P24_TasksRunAndDeadWorkersAreReplaced) {
  remuda::process_pool pool{with_workers(2, GetParam())};
  for (int round = 0; round < 3; ++round) {
    std::vector<remuda::future<int>> all;
    const auto dead = pool.submit([] { std::abort(); });
    for (int i = 0; i < 100; ++i) all.push_back(pool.submit(twice, i));
    EXPECT_EQ(death_of(dead).signal(), SIGABRT);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(), 2 * i);
  }
  EXPECT_EQ(pool.stats().died, 3U);
}

std::string state_of_program = "as it is at the start";

TEST_P(BothWays, P24_ReplacementsSeeTheMemoryThatTheFirstOnesSaw) {
  const std::string at_start = state_of_program;
  state_of_program = "changed before the pool";
  remuda::process_pool pool{with_workers(1, GetParam())};
  state_of_program = "changed after it";
  const std::string expected = GetParam() == start_method::fork ? "changed before the pool" : at_start;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(pool.submit([] { return state_of_program; }).get(), expected);
    death_of(pool.submit([] {
      state_of_program = "changed by a task";
      std::abort();
    }));
  }
  state_of_program = at_start;
}

TEST_P(BothWays, P24_DescriptorsOfTheProgramAreNotOpenInWorkers) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // not even close-on-exec
  remuda::process_pool pool{with_workers(1, GetParam())};
  for (int round = 0; round < 2; ++round) {
    const bool open = pool.submit(
                              [](std::string name) {
                                for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
                                  std::error_code gone;
                                  if (std::filesystem::read_symlink(fd.path(), gone) == name) return true;
                                }
                                return false;
                              },
                              std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(ends[0])).string())
                          .get();
    EXPECT_FALSE(open);
    death_of(pool.submit([] { std::abort(); }));
  }
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "somebody else keeps the other end open";
  close(ends[0]);
}

// A program without the hook before main().

TEST(NoHook, P24_TheErrorSaysWhatToLinkOrToCall) {
  const auto f = tools_test::run_program({REMUDA_NO_HOOK, "zygote"});
  EXPECT_EQ(f.status, 1);
  for (const char* const part : {"remuda::remuda", "pkg-config", "process_entry", "start_method::fork"}) {
    EXPECT_NE(f.out.find(part), std::string::npos) << part << " is not in: " << f.out;
  }
}

TEST(NoHook, P24_EachOfWhatItSaysHelps) {
  for (const char* const how : {"entry", "fork"}) {
    const auto f = tools_test::run_program({REMUDA_NO_HOOK, how});
    EXPECT_EQ(f.status, 0) << how << ": " << f.out << f.err;
    EXPECT_EQ(f.out, "42\n") << how;
  }
}

// What the system refuses. Each in a child of its own, as it cannot be taken back.

/// A sanitizer needs descriptors to look at an exception.
void no_limit_of_descriptors() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

/// The text of the error with which a pool of two cannot be made; empty when it can, and works. What is left of it is
/// an error of its own.
std::string error_of_pool(start_method start) {
  const auto before = descriptors();
  std::string text;
  try {
    auto options = with_workers(2, start);
    options.max_deaths_in_a_row = 3;
    remuda::process_pool pool{options};
    const auto first = pool.submit(twice, 4);
    // It may be killed because there was no descriptor for its worker: the broken pool says that.
    const bool died = first.error() != nullptr;
    if ((died ? pool.submit(twice, 4) : first).get() != 8) throw std::logic_error("a wrong result");
  } catch (const std::system_error& e) {
    no_limit_of_descriptors();
    text = e.what();
  } catch (const remuda::error& e) {
    no_limit_of_descriptors();
    text = e.what();
  }
  if (descriptors() != before) throw std::logic_error("descriptors are left; " + text);
  if (!children_of(getpid()).empty()) throw std::logic_error("processes are left; " + text);
  return text;
}

std::string expect_part(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos ? "" : "the error says: " + text;
}

/// From here on this process and its children get `error` from the calls that `refuse` names.
enum class refused { memfds, processes, short_waits };

void refuse(refused what, int error) {
  const auto number = static_cast<unsigned>(what == refused::memfds      ? SYS_memfd_create
                                            : what == refused::processes ? SYS_clone
                                                                         : SYS_epoll_pwait2);
  constexpr unsigned shares_memory = CLONE_VM;  // threads, and the start of a new program
  // The low half of an argument comes first on x86-64 and aarch64.
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, what == refused::processes ? shares_memory : 0U, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(std::size(program));
  filter.filter = const_cast<sock_filter*>(program);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    throw std::system_error(errno, std::generic_category(), "seccomp");
  }
}

TEST_P(BothWays, P29_SharedMemoryThatIsRefusedIsAnError) {
  for (const int error : {ENOSYS, EPERM}) {
    const child_result r = in_child([error]() -> std::string {
      error_of_pool(GetParam());  // what a first pool opens for good
      refuse(refused::memfds, error);
      const std::string text = error_of_pool(GetParam());
      return expect_part(text, "shared memory") + expect_part(text, std::strerror(error));
    });
    EXPECT_TRUE(well(r)) << r;
  }
}

bool supervisor_sleeps() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return std::any_of(begin(threads), end(threads), [](const auto& task) {
    const pid_t thread = std::stoi(task.path().filename());
    return remuda::test::thread_name(thread) == "remuda/super" && remuda::test::is_asleep(thread);
  });
}

TEST_P(BothWays, P34_IdlePoolsSleepAlsoWithoutShortWaits) {
  for (const int error : {ENOSYS, EPERM}) {
    const child_result r = in_child([error]() -> std::string {
      refuse(refused::short_waits, error);
      remuda::process_pool pool{with_workers(1, GetParam())};
      if (pool.submit(twice, 4).get() != 8) return "a wrong result";
      return remuda::test::eventually(supervisor_sleeps) ? "" : "it spins";
    });
    EXPECT_TRUE(well(r)) << r;
  }
}

TEST_P(BothWays, P29_ProcessesThatAreRefusedAreAnError) {
  const child_result r = in_child([]() -> std::string {
    error_of_pool(GetParam());
    refuse(refused::processes, EAGAIN);
    const std::string text = error_of_pool(GetParam());
    // the forked zygote is the first one that is refused, else the zygote's first worker
    return expect_part(text, std::strerror(EAGAIN)) +
           expect_part(text, GetParam() == start_method::fork ? "fork" : "pids.max");
  });
  EXPECT_TRUE(well(r)) << r;
}

// The supervisor's thread is not this one, so the limit has to be one of the whole process.
TEST_P(BothWays, P29_AReplacementThatGetsNoDescriptorsBreaksThePool) {
  const child_result r = in_child([]() -> std::string {
    remuda::process_pool pool{with_workers(1, GetParam())};
    if (pool.submit(twice, 4).get() != 8) return "a wrong result";
    remuda::test::processes_of(pool);  // the pool watches it, which takes a descriptor
    const remuda::test::file_gate gate;
    // none is free, and what a death gives back is one too few
    const rlimit few{5, 5};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) return "no limit";
    const auto dead = pool.submit(
        [](const std::string& held_by) {
          remuda::test::file_gate::wait(held_by);
          std::abort();
        },
        gate.path());
    const auto pending = pool.submit(twice, 4);  // which a broken pool would refuse
    gate.open();
    if (const auto death = death_of(dead); death.signal() != SIGABRT) return death.what();
    const std::string text = remuda::test::text_of<remuda::broken_pool_error>(pending);
    return expect_part(text, "replaced") + expect_part(text, std::strerror(EMFILE));
  });
  EXPECT_TRUE(well(r)) << r;
}

/// Whatever the number of descriptors at which they run out: the pool is there and works, or its constructor says so.
TEST_P(BothWays, P29_TheLimitOfDescriptorsAtAnyPointOfTheStart) {
  constexpr int more = 32;                   // than a pool of two needs
  ASSERT_EQ(error_of_pool(GetParam()), "");  // opens what a first pool opens for good
  int refused_at = 0;
  int worked_at = -1;
  std::set<std::string> texts;
  for (int spare = 0; spare <= more; ++spare) {
    const child_result r = in_child([spare]() -> std::string {
      const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
      close(next);
      rlimit few{};
      if (getrlimit(RLIMIT_NOFILE, &few) != 0) return "no limit";
      few.rlim_cur = static_cast<rlim_t>(next + 1 + spare);  // one for looking what is left
      if (setrlimit(RLIMIT_NOFILE, &few) != 0) return "no limit";
      const std::string text = error_of_pool(GetParam());
      if (text.empty()) return "works";
      const std::string wrong = expect_part(text, std::strerror(EMFILE));
      return wrong.empty() ? "refused: " + text : wrong;
    });
    ASSERT_TRUE(r.in_time) << spare << ": " << r;
    if (r.complaint == "works") {
      worked_at = spare;
    } else {
      ASSERT_TRUE(r.complaint.starts_with("refused: ")) << spare << ": " << r;
      refused_at = spare;
      texts.insert(r.complaint);
    }
  }
  for (const std::string& text : texts) RecordProperty("refusal", text);
  EXPECT_GT(refused_at, 5);
  EXPECT_EQ(worked_at, more);
  EXPECT_GT(texts.size(), 2U) << "it was refused at the same point each time";
}

TEST_P(BothWays, P24_WorksWithoutProc) {
  const child_result r = in_child([]() -> std::string {
    if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0) return "not permitted";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
      return "not permitted";
    }
    remuda::process_pool pool{with_workers(2, GetParam())};
    for (int i = 0; i < 20; ++i) {
      if (pool.submit(twice, i).get() != 2 * i) return "a wrong result";
    }
    if (death_of(pool.submit([] { std::abort(); })).signal() != SIGABRT) return "not the death";
    return pool.submit(twice, 4).get() == 8 ? "" : "a wrong result";
  });
  if (r.complaint == "not permitted" && geteuid() != 0) GTEST_SKIP() << "this test may not mount";
  EXPECT_TRUE(well(r)) << r;
}

TEST_P(BothWays, P28_LimitsOnMemoryWithoutProcAreAnErrorThatSaysSo) {
  const child_result r = in_child([]() -> std::string {
    if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0) return "not permitted";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
      return "not permitted";
    }
    auto options = with_workers(1, GetParam());
    options.max_deaths_in_a_row = 2;
    options.limits.memory = std::size_t{256} << 20;
    std::vector<std::string> lines;
    options.on_output = [&](remuda::output_stream, unsigned, std::string_view line) { lines.emplace_back(line); };
    try {
      const remuda::process_pool pool{options};
      return "it started";
    } catch (const remuda::broken_pool_error& e) {
      for (const std::string& line : lines) {
        if (line.find("mount /proc") != std::string::npos) return "";
      }
      return std::string("the workers did not say why: ") + e.what();
    }
  });
  if (r.complaint == "not permitted" && geteuid() != 0) GTEST_SKIP() << "this test may not mount";
  EXPECT_TRUE(well(r)) << r;
}

}  // namespace
