// Sudden deaths: of the parent at any moment, of the zygote, and starts that fail.
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <system_error>

#include "remuda/error.hpp"
#include "remuda/process_entry.hpp"
#include "tests/proc/worker_double.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/support/stress.hpp"

namespace remuda::test {
namespace {

constexpr const char* trouble_variable = "REMUDA_TEST_TROUBLE";

// Stands for a static constructor of the user, in the zygote only: it does what the variable says.
const bool trouble_before_main = [] {
  const char* const what = detail::in_zygote_start() ? std::getenv(trouble_variable) : nullptr;
  if (what == nullptr) return false;
  if (std::strcmp(what, "exit") == 0) _exit(23);
  if (std::strcmp(what, "crash") == 0) raise(SIGKILL);
  if (std::strcmp(what, "close") == 0) {
    for (int fd = 3; fd < 1000; ++fd) close(fd);
  }
  if (std::strcmp(what, "stall") == 0) {
    for (;;) pause();
  }
  return true;
}();

class trouble {
 public:
  explicit trouble(const char* what) { setenv(trouble_variable, what, 1); }
  ~trouble() { unsetenv(trouble_variable); }
  trouble(const trouble&) = delete;
  trouble& operator=(const trouble&) = delete;
};

/// While it lives, processes that lose their parent become children of this one, which so sees whether any is left.
class heir {
 public:
  heir() { prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~heir() { prctl(PR_SET_CHILD_SUBREAPER, 0); }
  heir(const heir&) = delete;
  heir& operator=(const heir&) = delete;

  /// Waits until no descendant is left; returns how many ended.
  static testing::AssertionResult none_left(int* ended = nullptr) {
    return eventually([ended] {
      for (;;) {
        const pid_t one = waitpid(-1, nullptr, WNOHANG);
        if (one == 0) return false;
        if (one < 0) return errno == ECHILD;
        if (ended != nullptr) ++*ended;
      }
    });
  }
};

class ZygoteDeaths : public testing::TestWithParam<start_method> {};

INSTANTIATE_TEST_SUITE_P(, ZygoteDeaths, testing::Values(start_method::zygote, start_method::fork),
                         [](const auto& p) { return p.param == start_method::fork ? "fork" : "zygote"; });

TEST_P(ZygoteDeaths, P22_AKilledParentLeavesNobody) {
  const heir here;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    zygote z(GetParam());
    std::array<pid_t, 5> all{z.pid()};
    for (std::uint32_t i = 1; i < all.size(); ++i) all[i] = spawned(z, settings_for(act::spin_for_ever, 0, i)).pid;
    [[maybe_unused]] const ssize_t n = write(ends[1], all.data(), sizeof all);
    for (;;) pause();
  }
  std::array<pid_t, 5> all{};
  ASSERT_EQ(read(ends[0], all.data(), sizeof all), static_cast<ssize_t>(sizeof all));
  std::vector<os::unique_fd> watched;
  for (const pid_t p : all) {
    watched.push_back(os::pidfd_open(p));
    EXPECT_FALSE(os::has_ended(watched.back().get()));
  }
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  const auto begin = std::chrono::steady_clock::now();
  for (const os::unique_fd& w : watched) EXPECT_TRUE(os::wait_until_ended(w.get(), generous));
  const auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("milliseconds", std::to_string(std::chrono::duration<double, std::milli>(took).count()));
  EXPECT_TRUE(heir::none_left());
  close(ends[0]);
  close(ends[1]);
}

// The socket alone does not tell the zygote of it: another process holds the parent's end.
TEST_P(ZygoteDeaths, P22_AlsoWhenAChildOfTheParentLivesOn) {
  const heir here;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    zygote z(GetParam());
    const event worker = spawned(z, settings_for(act::spin_for_ever));
    const pid_t other = fork();
    if (other == 0) {
      for (;;) pause();
    }
    const pid_t all[3] = {z.pid(), worker.pid, other};
    [[maybe_unused]] const ssize_t n = write(ends[1], all, sizeof all);
    for (;;) pause();
  }
  pid_t all[3] = {};
  ASSERT_EQ(read(ends[0], all, sizeof all), static_cast<ssize_t>(sizeof all));
  const os::unique_fd zygote_end = os::pidfd_open(all[0]);
  const os::unique_fd worker_end = os::pidfd_open(all[1]);
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  EXPECT_TRUE(os::wait_until_ended(zygote_end.get(), generous));
  EXPECT_TRUE(os::wait_until_ended(worker_end.get(), generous));
  EXPECT_EQ(kill(all[2], SIGKILL), 0);
  EXPECT_TRUE(heir::none_left());
  close(ends[0]);
  close(ends[1]);
}

TEST_P(ZygoteDeaths, P22_AParentKilledAtAnyMomentLeavesNobody) {
  const heir here;
  int most = 0;
  auto shortest = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    {
      zygote z(GetParam());
      spawned(z, settings_for(act::exit_with));
    }
    shortest = std::min(shortest, std::chrono::steady_clock::now() - begin);
  }
  const auto whole = 4 * shortest;
  constexpr int times = scaled(200);
  for (int i = 0; i < times; ++i) {
    const pid_t parent = fork();
    if (parent == 0) {
      zygote z(GetParam());
      for (std::uint32_t lane = 0;; ++lane) {
        z.spawn(settings_for(lane % 2 == 0 ? act::spin_for_ever : act::exit_with, 0, lane), {});
        while (z.receive()) {
        }
        if (lane > 8) {
          for (;;) pause();
        }
      }
    }
    // not in place of a condition: the moment of the death is what varies
    std::this_thread::sleep_for(whole * i / times);
    ASSERT_EQ(kill(parent, SIGKILL), 0);
    int ended = 0;
    ASSERT_TRUE(heir::none_left(&ended)) << i;
    most = std::max(most, ended);
  }
  EXPECT_EQ(most, 2) << "no parent lived long enough to have a zygote, or one did not reap its workers";
}

// While it is stopped it cannot see to it, and its workers see only to it.
TEST_P(ZygoteDeaths, P22_AStoppedZygoteGoesWithItsParent) {
  const heir here;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    zygote z(GetParam());
    const pid_t all[2] = {z.pid(), spawned(z, settings_for(act::sleep_for_ever)).pid};
    [[maybe_unused]] const ssize_t n = write(ends[1], all, sizeof all);
    for (;;) pause();
  }
  pid_t all[2] = {};
  ASSERT_EQ(read(ends[0], all, sizeof all), static_cast<ssize_t>(sizeof all));
  const os::unique_fd zygote_end = os::pidfd_open(all[0]);
  const os::unique_fd worker_end = os::pidfd_open(all[1]);
  ASSERT_EQ(kill(all[0], SIGSTOP), 0);
  ASSERT_TRUE(eventually([&] { return state_of(all[0]) == 'T'; }));
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  EXPECT_TRUE(os::wait_until_ended(zygote_end.get(), generous));
  EXPECT_TRUE(os::wait_until_ended(worker_end.get(), generous));
  kill(all[0], SIGKILL);  // where it failed
  EXPECT_TRUE(heir::none_left());
  close(ends[0]);
  close(ends[1]);
}

// The thread that makes a pool may end long before the pool does.
TEST_P(ZygoteDeaths, P24_TheEndOfTheThreadThatStartedItIsNotTheEnd) {
  std::optional<zygote> z;
  pid_t starter = 0;
  std::thread([&] {
    starter = gettid();
    z.emplace(GetParam());
  }).join();
  ASSERT_TRUE(eventually([&] { return !is_thread(starter); }));
  const event worker = spawned(*z, settings_for(act::sleep_for_ever));
  EXPECT_FALSE(os::has_ended(worker.pidfd.get()));
}

TEST_P(ZygoteDeaths, P29_TheDeathOfTheZygoteIsToldOnceAndTakesTheWorkers) {
  const heir here;
  zygote z(GetParam());
  std::vector<os::unique_fd> workers;
  for (std::uint32_t i = 0; i < 3; ++i) workers.push_back(spawned(z, settings_for(act::spin_for_ever, 0, i)).pidfd);
  ASSERT_EQ(kill(z.pid(), SIGKILL), 0);
  const event end = next_event(z);
  EXPECT_EQ(end.what, event::zygote_died);
  EXPECT_EQ(end.pid, z.pid());
  ASSERT_TRUE(WIFSIGNALED(end.status));
  EXPECT_EQ(WTERMSIG(end.status), SIGKILL);
  for (const os::unique_fd& w : workers) EXPECT_TRUE(os::wait_until_ended(w.get(), generous));
  EXPECT_FALSE(z.receive());
  try {
    z.spawn(settings_for(act::exit_with), {});
    ADD_FAILURE() << "asked a dead zygote for a worker";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code().value(), EPIPE);
  }
  EXPECT_TRUE(heir::none_left());
}

std::string error_of_start() {
  try {
    const zygote z(start_method::zygote);
  } catch (const remuda::error& e) {
    return e.what();
  }
  return "it started";
}

TEST(ZygoteStart, P29_AProgramThatEndsBeforeMainIsAnErrorThatSaysSo) {
  const trouble t("exit");
  const std::string text = error_of_start();
  EXPECT_NE(text.find("exit code 23"), std::string::npos) << text;
  EXPECT_NE(text.find("static constructor"), std::string::npos) << text;
  EXPECT_TRUE(heir::none_left());
}

TEST(ZygoteStart, P29_AProgramThatCrashesBeforeMain) {
  const trouble t("crash");
  const std::string text = error_of_start();
  EXPECT_NE(text.find("Killed"), std::string::npos) << text;
  EXPECT_TRUE(heir::none_left());
}

TEST(ZygoteStart, P29_AProgramThatClosesDescriptorsBeforeMain) {
  const trouble t("close");
  EXPECT_NE(error_of_start().find("did not come up"), std::string::npos);
  EXPECT_TRUE(heir::none_left());
}

TEST(ZygoteStart, P22_AParentKilledWhileStaticConstructorsOfTheZygoteRun) {
  const heir here;
  const trouble t("stall");
  const pid_t parent = fork();
  if (parent == 0) {
    const zygote z(start_method::zygote);
    _exit(1);
  }
  const std::string children = "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
  pid_t child = 0;
  ASSERT_TRUE(eventually([&] {
    std::ifstream(children) >> child;
    // executed already, and asleep in the constructor
    const std::string environment = "/proc/" + std::to_string(child) + "/environ";
    return child > 0 && read_file(environment).find(detail::zygote_variable) != std::string::npos &&
           state_of(child) == 'S';
  }));
  const os::unique_fd stalled = os::pidfd_open(child);
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  EXPECT_TRUE(os::wait_until_ended(stalled.get(), generous));
  EXPECT_TRUE(heir::none_left());
}

TEST(ZygoteStart, P24_WorksWithoutProc) {
  const child_result r = in_child([]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
      return "not permitted";
    }
    zygote z(start_method::zygote);
    const event worker = spawned(z, settings_for(act::exit_with, 3));
    return WEXITSTATUS(next_event(z).status) == 3 ? "" : "the worker was no worker";
  });
  if (r.complaint == "not permitted") GTEST_SKIP() << "this test may not mount";
  EXPECT_TRUE(well(r)) << r;
}

TEST(ZygoteStart, P24_WorksWhenTheFileOfTheProgramIsGone) {
  // a copy of this program starts a zygote after its own file was removed
  namespace fs = std::filesystem;
  const char* const copy = std::getenv("REMUDA_TEST_COPY");
  if (copy != nullptr) {
    fs::remove(copy);
    zygote z(start_method::zygote);
    spawned(z, settings_for(act::exit_with, 3));
    EXPECT_EQ(WEXITSTATUS(next_event(z).status), 3);
    return;
  }
  const fs::path path = fs::path(testing::TempDir()) / ("remuda-copy-" + std::to_string(getpid()));
  fs::copy_file("/proc/self/exe", path);
  const pid_t child = fork();
  if (child == 0) {
    setenv("REMUDA_TEST_COPY", path.c_str(), 1);
    execl(path.c_str(), path.c_str(), "--gtest_filter=ZygoteStart.P24_WorksWhenTheFileOfTheProgramIsGone", nullptr);
    _exit(127);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace remuda::test
