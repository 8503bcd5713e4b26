// The program is killed: its workers go too, whatever they are doing, and nothing of them stays.
//
// zygote_kill_test has the same of the zygote alone, at any moment of its start.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "runtime/os/pidfd.hpp"
#include "runtime/os/unique_fd.hpp"
#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::start_method;
using remuda::test::eventually;
using remuda::test::generous;
using remuda::test::parent_of;
using remuda::test::processes_of;
using remuda::test::shared_count;
using remuda::test::state_of;
using remuda::test::with_workers;

void idle(const std::string&) {}

void compute(const std::string& begun) {
  shared_count::add(begun);
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

void stop(const std::string& begun) {
  shared_count::add(begun);
  std::raise(SIGSTOP);
}

void hold_out(const std::string& begun) {
  for (int s = 1; s < NSIG; ++s) std::signal(s, SIG_IGN);
  shared_count::add(begun);
  for (;;) std::this_thread::sleep_for(1h);
}

void print(const std::string& begun) {
  shared_count::add(begun);
  for (;;) std::printf("a line that nobody will read\n");
}

struct occupation {
  const char* name;
  void (*task)(const std::string& begun);
  bool lasts;  // else the workers are idle by the time that the program is killed
};

std::set<std::string> in_dev_shm() {
  std::set<std::string> names;
  std::error_code none;
  for (const auto& e : std::filesystem::directory_iterator("/dev/shm", none)) names.insert(e.path().filename());
  return names;
}

class Promise22 : public testing::TestWithParam<std::tuple<occupation, start_method>> {};

INSTANTIATE_TEST_SUITE_P(
    , Promise22,
    testing::Combine(testing::Values(occupation{"idle", idle, false}, occupation{"compute", compute, true},
                                     occupation{"stopped", stop, true}, occupation{"ignore_signals", hold_out, true},
                                     occupation{"print", print, true}),
                     testing::Values(start_method::zygote, start_method::fork)),
    [](const auto& p) {
      return std::string(std::get<0>(p.param).name) +
             (std::get<1>(p.param) == start_method::fork ? "_fork" : "_zygote");
    });

constexpr unsigned workers = 3;
using family = std::array<pid_t, workers + 1>;  // the zygote comes first

/// A program that has a pool, in a child. Never returns.
[[noreturn]] void program(const occupation& what, start_method start, const std::string& begun, int tell) {
  auto options = with_workers(workers, start);
  options.on_output = [](remuda::output_stream, unsigned, std::string_view) {};
  remuda::process_pool pool{options};
  family all{};
  std::size_t n = 1;
  for (const pid_t p : processes_of(pool)) all.at(n++) = p;
  all[0] = parent_of(all[1]);
  const auto buffer = pool.make_buffer<char>(1 << 20);
  std::vector<remuda::future<void>> tasks;
  // one for each worker, and some that wait
  for (unsigned i = 0; i < 4 * workers; ++i) tasks.push_back(pool.submit(what.task, begun));
  if (!what.lasts) {
    for (const auto& f : tasks) f.get();
  }
  [[maybe_unused]] const ssize_t told = write(tell, all.data(), sizeof all);
  for (;;) pause();
}

void expect_end_with_program(const occupation& what, start_method start) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // whom the program leaves behind becomes a child of this process
  const auto names_before = in_dev_shm();
  const shared_count begun;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    try {
      program(what, start, begun.path(), ends[1]);
    } catch (...) {
      _exit(1);
    }
  }
  close(ends[1]);
  family all{};
  ASSERT_EQ(read(ends[0], all.data(), sizeof all), static_cast<ssize_t>(sizeof all));
  close(ends[0]);
  std::vector<remuda::os::unique_fd> watched;
  for (const pid_t p : all) watched.push_back(remuda::os::pidfd_open(p));
  if (what.lasts) {
    EXPECT_TRUE(eventually([&] { return begun.value() == workers; }));
  }
  if (what.task == stop) {
    for (std::size_t i = 1; i < all.size(); ++i) EXPECT_TRUE(eventually([&] { return state_of(all.at(i)) == 'T'; }));
  }
  for (const auto& w : watched) EXPECT_FALSE(remuda::os::has_ended(w.get()));

  ASSERT_EQ(kill(parent, SIGKILL), 0);
  const auto killed_at = std::chrono::steady_clock::now();
  for (const auto& w : watched) EXPECT_TRUE(remuda::os::wait_until_ended(w.get(), generous));
  const auto took = std::chrono::steady_clock::now() - killed_at;
  // For the report, and not for the verdict: the promise is 100 ms on a machine that is not ten times overloaded.
  testing::Test::RecordProperty("milliseconds",
                                std::to_string(std::chrono::duration<double, std::milli>(took).count()));
  EXPECT_TRUE(eventually([] {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return errno == ECHILD;
  })) << "a process is left";
  EXPECT_EQ(in_dev_shm(), names_before);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_P(Promise22, AKilledProgramLeavesNobody) {
  expect_end_with_program(std::get<0>(GetParam()), std::get<1>(GetParam()));
}

}  // namespace
