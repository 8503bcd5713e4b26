#include "runtime/proc/zygote.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <set>
#include <system_error>
#include <thread>

#include "remuda/error.hpp"
#include "tests/proc/worker_double.hpp"

namespace remuda::test {
namespace {

bool has_children() { return waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

class ZygoteBothWays : public testing::TestWithParam<start_method> {};

INSTANTIATE_TEST_SUITE_P(, ZygoteBothWays, testing::Values(start_method::zygote, start_method::fork),
                         [](const auto& p) { return p.param == start_method::fork ? "fork" : "zygote"; });

TEST_P(ZygoteBothWays, P24_StartsAWorkerAndTellsOfItsEnd) {
  zygote z(GetParam());
  const event begin = spawned(z, settings_for(act::exit_with, 17, 3));
  EXPECT_EQ(begin.lane, 3U);
  EXPECT_GT(begin.pid, 0);
  EXPECT_TRUE(os::wait_until_ended(begin.pidfd.get(), generous));
  const event end = next_event(z);
  EXPECT_EQ(end.what, event::died);
  EXPECT_EQ(end.lane, 3U);
  EXPECT_EQ(end.pid, begin.pid);
  ASSERT_TRUE(WIFEXITED(end.status));
  EXPECT_EQ(WEXITSTATUS(end.status), 17);
}

TEST_P(ZygoteBothWays, P25_TellsWhichSignalEndedAWorker) {
  zygote z(GetParam());
  const event idle = spawned(z, settings_for(act::sleep_for_ever, 0, 1));
  for (const int signal : {SIGTERM, SIGSEGV, SIGKILL}) {
    spawned(z, settings_for(act::raise_signal, static_cast<std::uint64_t>(signal), 2));
    const event end = next_event(z);
    EXPECT_EQ(end.what, event::died);
    EXPECT_EQ(end.lane, 2U);
    ASSERT_TRUE(WIFSIGNALED(end.status)) << end.status;
    EXPECT_EQ(WTERMSIG(end.status), signal);
  }
  EXPECT_FALSE(os::has_ended(idle.pidfd.get()));
  EXPECT_EQ(os::send_signal(idle.pidfd.get(), SIGKILL), 0);
  EXPECT_EQ(next_event(z).lane, 1U);
}

TEST_P(ZygoteBothWays, P32_AWorkerHasItsDescriptorsAndNoOthers) {
  os::unique_fd stray(open("/dev/zero", O_RDONLY));  // outlives exec
  ASSERT_TRUE(stray);
  lane_files files;
  zygote z(GetParam());
  z.spawn(settings_for(act::tell), files.fds());
  const std::string text = files.printed();
  int memory = 0;
  int others = 0;
  for (const auto& [key, value] : told(text)) {
    if (!key.starts_with("fd ")) continue;
    if (value.starts_with("/memfd:")) {
      ++memory;
    } else if (key == "fd 0") {
      EXPECT_EQ(value, "/dev/null");
    } else if (key == "fd 1" || key == "fd 2") {
      EXPECT_TRUE(value.starts_with("pipe:")) << value;
    } else {
      EXPECT_EQ(value, "anon_inode:[eventfd]") << text;
      ++others;
    }
  }
  EXPECT_EQ(memory, 2) << text;
  EXPECT_EQ(others, 1) << text;
  char written[8] = {};
  EXPECT_EQ(pread(files.segment.get(), written, sizeof written, 0), 8);
  EXPECT_EQ(std::string(written, 8), "was here");
  eventfd_t rung = 0;
  EXPECT_EQ(eventfd_read(files.bell.get(), &rung), 0);
  EXPECT_EQ(rung, 7U);
}

TEST_P(ZygoteBothWays, P22_TheZygoteKeepsNothingOfTheParentOpen) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // outlives exec
  zygote z(GetParam());
  close(ends[1]);
  pollfd end{ends[0], POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 60'000), 1) << "somebody still holds the writing end";
  EXPECT_NE(end.revents & POLLHUP, 0);
  close(ends[0]);
}

TEST_P(ZygoteBothWays, P24_AWorkerStartsWithACleanSlate) {
  sigset_t some, before;
  sigemptyset(&some);
  for (const int s : {SIGINT, SIGUSR1, SIGTERM, SIGCHLD}) sigaddset(&some, s);
  pthread_sigmask(SIG_BLOCK, &some, &before);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR2, [](int) {});
  setenv("REMUDA_TEST_MARKER", "still here", 1);
  std::printf("what is in the buffer of stdout is the parent's");
  lane_files files;
  zygote z(GetParam());
  worker_settings settings = settings_for(act::tell, 0, 5);
  std::snprintf(settings.name, sizeof settings.name, "worker-5");
  z.spawn(settings, files.fds());
  std::map<std::string, std::string> seen = told(files.printed());
  EXPECT_EQ(seen["blocked"], "");
  EXPECT_EQ(seen["dispositions"], "");
  EXPECT_EQ(seen["marker"], "still here");
  EXPECT_EQ(seen["variable"], "0");
  EXPECT_EQ(seen["in_zygote"], "1");
  EXPECT_EQ(seen["before_main"], GetParam() == start_method::zygote ? "1" : "0");
  EXPECT_EQ(seen["name"], "worker-5");
  EXPECT_EQ(seen["lane"], "5");
  EXPECT_EQ(seen["parent"], std::to_string(z.pid()));
  EXPECT_EQ(seen["group"], std::to_string(z.pid())) << "Ctrl-C at the terminal would reach it";
  signal(SIGPIPE, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, &before, &now);
  EXPECT_EQ(sigismember(&now, SIGUSR1), 1) << "the start has changed the mask of its caller";
}

TEST_P(ZygoteBothWays, P22_SignalsToTheWholeGroupDoNotEndTheZygote) {
  zygote z(GetParam());
  EXPECT_EQ(thread_name(getpid()).empty(), false);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1}) EXPECT_EQ(kill(z.pid(), s), 0);
  spawned(z, settings_for(act::exit_with));
  EXPECT_EQ(next_event(z).what, event::died);
}

TEST_P(ZygoteBothWays, P21_TwoHundredWorkersLeaveNothing) {
  { zygote first(GetParam()); }
  const auto before = descriptors();
  {
    zygote z(GetParam());
    for (int i = 0; i < 200; ++i) {
      lane_files files;
      const event begin = spawned(z, settings_for(act::exit_with, static_cast<std::uint64_t>(i % 100)), files.fds());
      const event end = next_event(z);
      ASSERT_EQ(end.what, event::died);
      EXPECT_EQ(end.pid, begin.pid);
      EXPECT_EQ(kill(begin.pid, 0), -1) << "it is not reaped";
    }
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST_P(ZygoteBothWays, P19_TheEndTakesBusyWorkersAlong) {
  std::vector<os::unique_fd> workers;
  std::chrono::steady_clock::time_point end;
  {
    zygote z(GetParam());
    for (std::uint32_t i = 0; i < 4; ++i) {
      workers.push_back(spawned(z, settings_for(i % 2 == 0 ? act::spin_for_ever : act::sleep_for_ever, 0, i)).pidfd);
    }
    end = std::chrono::steady_clock::now();
  }
  // Of a zygote that takes longer its end does not wait for the workers: the kernel ends them with it.
  const bool in_time = std::chrono::steady_clock::now() - end < std::chrono::seconds(2);
  for (const os::unique_fd& w : workers)
    EXPECT_TRUE(os::wait_until_ended(w.get(), in_time ? std::chrono::seconds(0) : generous));
  EXPECT_FALSE(has_children());
}

TEST_P(ZygoteBothWays, P29_RequestsThatNobodyReadsTheAnswersOfDoNotBlock) {
  constexpr std::uint32_t count = 1000;
  zygote z(GetParam());
  for (std::uint32_t i = 0; i < count; ++i) z.spawn(settings_for(act::exit_with, 0, i), {});
  std::array<int, count> born{}, dead{};
  for (std::uint32_t i = 0; i < 2 * count; ++i) {
    const event e = next_event(z);
    ASSERT_TRUE(e.what == event::spawned || e.what == event::died) << i << ' ' << e.status;
    ASSERT_LT(e.lane, count);
    ++(e.what == event::spawned ? born : dead)[e.lane];
    EXPECT_LE(dead[e.lane], born[e.lane]) << "its death came before its birth";
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(born[i], 1);
    EXPECT_EQ(dead[i], 1);
  }
}

TEST_P(ZygoteBothWays, P29_TheZygoteOutOfDescriptorsSaysSo) {
  lane_files files;
  zygote z(GetParam());
  rlimit before{};
  ASSERT_EQ(prlimit(z.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit few{8, before.rlim_max};
  ASSERT_EQ(prlimit(z.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  z.spawn(settings_for(act::exit_with, 0, 9), files.fds());
  const event refused = next_event(z);
  EXPECT_EQ(refused.what, event::spawn_failed);
  EXPECT_EQ(refused.lane, 9U);
  EXPECT_EQ(refused.status, EMFILE);
  ASSERT_EQ(prlimit(z.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  spawned(z, settings_for(act::exit_with, 0, 9), files.fds());
  EXPECT_EQ(next_event(z).what, event::died);
}

TEST_P(ZygoteBothWays, P29_TheParentOutOfDescriptorsGetsAnErrorThatSaysWhatToDo) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (rlim_t few = 3; few < 10; ++few) {
    const rlimit limit{few, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    std::string text;
    try {
      zygote z(GetParam());
    } catch (const std::system_error& e) {
      setrlimit(RLIMIT_NOFILE, &before);  // a sanitizer needs descriptors to look at an exception
      EXPECT_EQ(e.code().value(), EMFILE);
      text = e.what();
    }
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_FALSE(has_children());
    EXPECT_EQ(text.empty(), text.find("ulimit -n") == std::string::npos) << text;
    EXPECT_FALSE(few == 3 && text.empty());
  }
}

TEST_P(ZygoteBothWays, P21_TheProgramMayReapEveryChildItself) {
  struct sigaction reaper {};
  reaper.sa_handler = [](int) {
    const int saved = errno;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    errno = saved;
  };
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  for (const auto& disposition : {reaper, ignore}) {
    ASSERT_EQ(sigaction(SIGCHLD, &disposition, nullptr), 0);
    {
      zygote z(GetParam());
      spawned(z, settings_for(act::exit_with, 4));
      const event end = next_event(z);
      EXPECT_EQ(end.what, event::died);
      EXPECT_EQ(WEXITSTATUS(end.status), 4);
    }
    {
      zygote z(GetParam());
      ASSERT_EQ(kill(z.pid(), SIGKILL), 0);
      EXPECT_EQ(next_event(z).what, event::zygote_died);
    }
    EXPECT_FALSE(has_children());
  }
  signal(SIGCHLD, SIG_DFL);
}

TEST_P(ZygoteBothWays, P21_AForkedChildLeavesTheZygoteAlone) {
  zygote z(GetParam());
  const child_result r = in_child([&] {
    z.~zygote();
    return std::string();
  });
  EXPECT_TRUE(well(r)) << r;
  spawned(z, settings_for(act::exit_with));
  EXPECT_EQ(next_event(z).what, event::died);
}

TEST_P(ZygoteBothWays, P29_AStoppedZygoteDoesNotHoldUpTheEnd) {
  os::unique_fd worker;
  {
    zygote z(GetParam());
    worker = spawned(z, settings_for(act::spin_for_ever)).pidfd;
    ASSERT_EQ(kill(z.pid(), SIGSTOP), 0);
  }
  EXPECT_TRUE(os::wait_until_ended(worker.get(), generous));
  EXPECT_FALSE(has_children());
}

/// The process that a zygote with these workers has in reserve, once it sleeps.
pid_t reserve_of(pid_t zygote, const std::set<pid_t>& workers) {
  pid_t found = -1;
  EXPECT_TRUE(eventually([&] {
    std::ifstream in("/proc/" + std::to_string(zygote) + "/task/" + std::to_string(zygote) + "/children");
    for (pid_t child = 0; in >> child;) {
      if (!workers.contains(child) && is_waiting_in_reserve(child)) found = child;
    }
    return found > 0;
  }));
  return found;
}

TEST_P(ZygoteBothWays, P25_TheReserveBecomesTheNextWorker) {
  zygote z(GetParam());
  const event first = spawned(z, settings_for(act::sleep_for_ever, 0, 0));
  const pid_t reserve = reserve_of(z.pid(), {first.pid});
  ASSERT_EQ(kill(reserve, SIGTERM), 0) << "and SIGUSR1: not meant for a worker";
  ASSERT_EQ(kill(reserve, SIGUSR1), 0);
  lane_files files;
  worker_settings settings = settings_for(act::tell, 0, 7);
  std::snprintf(settings.name, sizeof settings.name, "worker-7");
  settings.cpu = 0;
  z.spawn(settings, files.fds());
  std::map<std::string, std::string> seen = told(files.printed());
  EXPECT_EQ(seen["pid"], std::to_string(reserve));
  EXPECT_EQ(seen["parent"], std::to_string(z.pid()));
  EXPECT_EQ(seen["group"], std::to_string(z.pid()));
  EXPECT_EQ(seen["name"], "worker-7");
  EXPECT_EQ(seen["lane"], "7");
  EXPECT_EQ(seen["blocked"], "");
  EXPECT_EQ(seen["dispositions"], "");
  const auto descriptors_seen =
      std::count_if(seen.begin(), seen.end(), [](const auto& line) { return line.first.starts_with("fd "); });
  EXPECT_EQ(descriptors_seen, 6) << "three standard ones, two files, one bell";
  const event begin = next_event(z);
  EXPECT_EQ(begin.what, event::spawned);
  EXPECT_EQ(begin.pid, reserve);
  EXPECT_TRUE(begin.pidfd);
  const event end = next_event(z);
  EXPECT_EQ(end.what, event::died);
  EXPECT_EQ(end.pid, reserve);
  EXPECT_EQ(end.lane, 7U);
  EXPECT_NE(reserve_of(z.pid(), {first.pid}), reserve);
}

TEST_P(ZygoteBothWays, P25_ADeadReserveIsHarmless) {
  zygote z(GetParam());
  const event first = spawned(z, settings_for(act::sleep_for_ever, 0, 0));
  const pid_t reserve = reserve_of(z.pid(), {first.pid});
  const os::unique_fd reserve_end = os::pidfd_open(reserve);
  ASSERT_EQ(kill(reserve, SIGKILL), 0);
  ASSERT_TRUE(os::wait_until_ended(reserve_end.get(), generous));
  const event second = spawned(z, settings_for(act::exit_with, 5, 1));
  EXPECT_NE(second.pid, reserve);
  const event end = next_event(z);
  EXPECT_EQ(end.what, event::died);
  EXPECT_EQ(end.pid, second.pid);
  EXPECT_EQ(WEXITSTATUS(end.status), 5);
  EXPECT_TRUE(eventually([&] { return kill(reserve, 0) != 0; })) << "it is not reaped";
}

TEST_P(ZygoteBothWays, P21_TheReserveGoesWithTheZygote) {
  os::unique_fd waiting;
  for (const bool killed : {false, true}) {
    zygote z(GetParam());
    const event first = spawned(z, settings_for(act::sleep_for_ever, 0, 0));
    waiting = os::pidfd_open(reserve_of(z.pid(), {first.pid}));
    EXPECT_FALSE(os::has_ended(waiting.get()));
    if (!killed) continue;
    ASSERT_EQ(kill(z.pid(), SIGKILL), 0);
    EXPECT_TRUE(os::wait_until_ended(waiting.get(), generous));
  }
  EXPECT_TRUE(os::has_ended(waiting.get()));
  EXPECT_FALSE(has_children());
}

// A parent with threads that hold locks, among them the allocator's.
TEST(Zygote, P24_StartsFromAProgramWithThreads) {
  gate stop;
  std::vector<std::thread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([&stop] {
      std::vector<std::string> some;
      for (int turn = 0; stop.arrived() == 0; ++turn) {
        some.emplace_back(200, 'x');
        if (turn % 64 == 0) some.clear();
      }
    });
  }
  for (const start_method how : {start_method::zygote, start_method::fork}) {
    for (int i = 0; i < 20; ++i) {
      zygote z(how);
      spawned(z, settings_for(act::exit_with, 1));
      EXPECT_EQ(next_event(z).what, event::died);
    }
  }
  stop.open();
  stop.wait();
  for (std::thread& t : busy) t.join();
}

TEST(Zygote, P24_IsTheSameProgramWithTheSameArguments) {
  zygote z(start_method::zygote);
  const auto file = [](pid_t pid, const char* name) { return read_file("/proc/" + std::to_string(pid) + "/" + name); };
  EXPECT_EQ(file(z.pid(), "cmdline"), file(getpid(), "cmdline"));
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(z.pid()) + "/exe"),
            std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_EQ(file(z.pid(), "comm"), "remuda-zygote\n");
}

}  // namespace
}  // namespace remuda::test
