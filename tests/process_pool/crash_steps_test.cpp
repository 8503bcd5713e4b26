// A process dies at each step that runtime/proc/CRASH.md names, and what that file promises comes true.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/process.hpp"

namespace {

using remuda::detail::fault_point;
using remuda::test::eventually;
using remuda::test::fault;
using remuda::test::faults;

/// One byte for each time that a task has begun, whatever becomes of its process.
void note_run(const std::string& runs) {
  const int fd = open(runs.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, "x", 1) != 1) std::abort();
  close(fd);
}

std::uintmax_t runs_in(const std::string& runs) {
  std::error_code none;
  const auto size = std::filesystem::file_size(runs, none);
  return none ? 0 : size;
}

int task(const std::string& runs, int n) {
  note_run(runs);
  fault_point(fault::in_task);
  return n;
}

int wait_for_file(const std::string& runs, const std::string& name, int n) {
  note_run(runs);
  if (!eventually([&] { return access(name.c_str(), F_OK) == 0; })) std::abort();
  return n;
}

int print_and_wait(const std::string& line, const std::string& runs, const std::string& name, int n) {
  std::puts(line.c_str());
  wait_for_file(runs, name, n);
  fault_point(fault::in_task);
  return n;
}

std::string large(const std::string& runs, std::size_t n) {
  note_run(runs);
  return std::string(n, 'x');
}

void initialize(const std::string& deadly) {
  fault_point(fault::in_initializer);
  if (access(deadly.c_str(), F_OK) == 0) ::raise(SIGKILL);
}

remuda::process_pool_options workers(unsigned n) {
  remuda::process_pool_options options;
  options.workers = n;
  return options;
}

/// No child of this process is left, not even a zombie.
bool has_no_child() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

/// A pool and all that is asked of it: every task ends once, and nothing of the pool is left in the end.
class scene {
 public:
  explicit scene(remuda::process_pool_options options = workers(1), std::optional<fault> at_once = {}) {
    if (at_once) points.die_at(*at_once);
    options.initializer = remuda::remote_call(initialize, deadly());
    pool = std::make_unique<remuda::process_pool>(std::move(options));
    EXPECT_EQ(submit(0).get(), 0);
  }

  std::string deadly() const { return points.file("deadly"); }
  std::string runs(int n) const { return points.file("runs" + std::to_string(n)); }

  template <class... Call>
  auto submit_call(unsigned retries, Call&&... call) {
    auto f = pool->submit(remuda::task_options{.retries = retries}, std::forward<Call>(call)...);
    ++submitted;
    f.on_done([this](const auto&) { ++completions; });
    return f;
  }
  remuda::future<int> submit(int n, unsigned retries = 0) { return submit_call(retries, task, runs(n), n); }
  /// Occupies a worker until open() is called with the same number; returns when it runs.
  remuda::future<int> occupy(int n) {
    auto f = submit_call(0, wait_for_file, runs(n), points.file("gate" + std::to_string(n)), n);
    EXPECT_TRUE(eventually([&] { return runs_in(runs(n)) == 1; }));
    return f;
  }
  void open(int n) const { faults::touch(points.file("gate" + std::to_string(n))); }

  void submit_behind(unsigned retries = 0) {
    for (int i = 0; i < 20; ++i) behind.push_back(submit(100 + i, retries));
  }
  /// They had not begun, so each has run once, whoever was to run it first.
  void check_behind() {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 100 + i);
      EXPECT_EQ(runs_in(runs(100 + i)), 1U);
    }
  }

  void finish() {
    EXPECT_EQ(submit(1'000).get(), 1'000) << "the pool does not go on";
    end();
    EXPECT_TRUE(has_no_child());
  }
  void end() {
    pool->shutdown();
    EXPECT_EQ(completions, submitted);
    pool.reset();
    EXPECT_EQ(remuda::test::descriptors(), before);
  }

  const faults points;
  const std::set<std::string> before = remuda::test::descriptors();
  std::atomic<int> completions{0};
  int submitted = 0;
  std::unique_ptr<remuda::process_pool> pool;
  std::vector<remuda::future<int>> behind;
};

TEST(Promise25CrashSteps, BeforeTheClaimTheTaskGoesElsewhere) {
  scene s;
  s.points.die_at(fault::before_claim);
  auto first = s.submit(1);
  s.submit_behind();
  s.points.reached(fault::before_claim);
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(runs_in(s.runs(1)), 1U);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  EXPECT_EQ(s.pool->stats().retried, 0U);
  s.finish();
}

struct step {
  fault point;
  unsigned runs;  ///< of the task until its worker dies
};
constexpr step steps_of_a_task[] = {{fault::after_claim, 0}, {fault::in_task, 1}, {fault::before_publish, 1}};

TEST(Promise25CrashSteps, FromTheClaimToTheResultTheTaskFailsAlone) {
  for (const auto& [point, runs] : steps_of_a_task) {
    SCOPED_TRACE(static_cast<int>(point));
    scene s;
    s.points.die_at(point);
    auto guilty = s.submit(1);
    s.submit_behind();
    s.points.reached(point);
    EXPECT_THROW(guilty.get(), remuda::worker_died);
    EXPECT_EQ(runs_in(s.runs(1)), runs);
    s.check_behind();
    EXPECT_EQ(s.pool->stats().died, 1U);
    s.finish();
  }
}

TEST(Promise25CrashSteps, FromTheClaimToTheResultTheTaskIsTriedAgain) {
  for (const auto& [point, runs] : steps_of_a_task) {
    SCOPED_TRACE(static_cast<int>(point));
    scene s;
    s.points.die_at(point);
    auto guilty = s.submit(1, 1);
    s.submit_behind();
    s.points.reached(point);
    EXPECT_EQ(guilty.get(), 1);
    EXPECT_EQ(runs_in(s.runs(1)), runs + 1);
    s.check_behind();
    EXPECT_EQ(s.pool->stats().died, 1U);
    EXPECT_EQ(s.pool->stats().retried, 1U);
    s.finish();
  }
}

TEST(Promise25CrashSteps, AResultThatCanBeSeenIsReceived) {
  scene s;
  s.points.die_at(fault::after_publish);
  auto first = s.submit(1, 1);
  s.submit_behind();
  s.points.reached(fault::after_publish);
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(runs_in(s.runs(1)), 1U);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  EXPECT_EQ(s.pool->stats().retried, 0U);
  s.finish();
}

TEST(Promise25CrashSteps, AResultIsReceivedThoughItCameAfterTheLastLook) {
  remuda::test::gate first_line;
  remuda::test::gate second_line;
  auto options = workers(2);
  options.on_output = [&](auto, unsigned, std::string_view line) { (line == "1" ? first_line : second_line).wait(); };
  scene s(options);
  const remuda::test::gate_opener opens_first(first_line);
  const remuda::test::gate_opener opens_second(second_line);
  const auto gone = [](pid_t pid) { return eventually([pid] { return ::kill(pid, 0) != 0; }); };
  auto dead = s.submit_call(0, print_and_wait, std::string("1"), s.runs(1), s.points.file("gate1"), 1);
  ASSERT_TRUE(eventually([&] { return first_line.arrived() == 1; }));
  // The pool's own thread is held up, and finds two things at once then: a line, and behind it news of the zygote.
  auto answered = s.submit_call(0, print_and_wait, std::string("2"), s.runs(2), s.points.file("gate2"), 2);
  ASSERT_TRUE(eventually([&] { return runs_in(s.runs(2)) == 1; }));
  s.points.die_at(fault::in_task);
  s.open(1);
  ASSERT_TRUE(gone(s.points.reached(fault::in_task)));
  first_line.open();
  ASSERT_TRUE(eventually([&] { return second_line.arrived() == 1; }));
  // With the line in hand it has looked for results already, and will look at the news next.
  s.points.die_at(fault::after_publish);
  s.open(2);
  ASSERT_TRUE(gone(s.points.reached(fault::after_publish)));
  second_line.open();
  // Not by get(), which would take the result itself.
  EXPECT_TRUE(eventually([&] { return s.pool->stats().died == 2; }));
  EXPECT_EQ(answered.get(), 2);
  EXPECT_THROW(dead.get(), remuda::worker_died);
  s.finish();
}

TEST(Promise25CrashSteps, AWithdrawnCallCostsNothing) {
  scene s;
  auto first = s.occupy(1);
  auto second = s.submit(2);
  s.submit_behind();
  ASSERT_TRUE(second.cancel());
  s.points.die_at(fault::answering_withdrawn);
  s.open(1);
  s.points.reached(fault::answering_withdrawn);
  EXPECT_EQ(first.get(), 1);
  EXPECT_THROW(second.get(), remuda::cancelled_error);
  EXPECT_EQ(runs_in(s.runs(2)), 0U);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  s.finish();
}

TEST(Promise25CrashSteps, AnAnsweredWithdrawnCallCostsNothing) {
  scene s;
  auto first = s.occupy(1);
  auto second = s.submit(2);
  auto third = s.submit(3);
  s.submit_behind();
  ASSERT_TRUE(second.cancel());
  s.points.die_at(fault::after_claim);  // of the third, past the second
  s.open(1);
  s.points.reached(fault::after_claim);
  EXPECT_EQ(first.get(), 1);
  EXPECT_THROW(second.get(), remuda::cancelled_error);
  EXPECT_THROW(third.get(), remuda::worker_died);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  s.finish();
}

TEST(Promise25CrashSteps, WaitingForRoomIsAsRunning) {
  auto options = workers(1);
  options.max_payload = 1 << 20;
  scene s(options);
  s.points.die_at(fault::waiting_for_room);
  remuda::test::gate receiver;
  const remuda::test::gate_opener opener(receiver);
  auto first = s.occupy(1);
  first.on_done([&](const auto&) { receiver.wait(); });  // on the thread that would take the results
  // Its end, and with it the callback, comes before the first result that needs room.
  auto held = s.submit_call(0, wait_for_file, s.runs(2), s.points.file("gate2"), 2);
  constexpr std::size_t bytes = 400 << 10;  // two of them fit
  std::vector<remuda::future<std::string>> results;
  for (int i = 0; i < 4; ++i) results.push_back(s.submit_call(0, large, s.runs(10 + i), bytes));
  s.submit_behind();
  s.open(1);
  ASSERT_TRUE(eventually([&] { return receiver.arrived() == 1; }));
  s.open(2);
  s.points.reached(fault::waiting_for_room);
  receiver.open();
  EXPECT_EQ(held.get(), 2);
  EXPECT_EQ(results[0].get().size(), bytes);
  EXPECT_EQ(results[1].get().size(), bytes);
  EXPECT_THROW(results[2].get(), remuda::worker_died);
  EXPECT_EQ(results[3].get().size(), bytes);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(runs_in(s.runs(10 + i)), 1U);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  s.finish();
}

TEST(Promise25CrashSteps, AtTheStartAnotherProcessIsTaken) {
  for (const fault point : {fault::at_start, fault::in_initializer}) {
    SCOPED_TRACE(static_cast<int>(point));
    scene s(workers(1), point);  // while the pool starts
    s.points.reached(point);
    EXPECT_EQ(s.pool->stats().died, 1U);
    s.submit_behind();
    s.check_behind();
    s.finish();
  }
}

TEST(Promise25CrashSteps, AtTheStartOfAReplacementAnotherProcessIsTaken) {
  for (const fault point : {fault::at_start, fault::in_initializer}) {
    SCOPED_TRACE(static_cast<int>(point));
    scene s;
    s.points.die_at(fault::in_task);
    s.points.die_at(point);
    auto guilty = s.submit(1);
    s.submit_behind();
    s.points.reached(point);
    EXPECT_THROW(guilty.get(), remuda::worker_died);
    s.check_behind();
    EXPECT_EQ(s.pool->stats().died, 2U);
    s.finish();
  }
}

TEST(Promise25CrashSteps, TooManyDeathsInARowBreakThePool) {
  auto options = workers(1);
  options.max_deaths_in_a_row = 3;
  scene s(options);
  s.points.die_at(fault::in_task);
  faults::touch(s.deadly());  // the replacements die in the initializer
  auto first = s.occupy(2);   // until all are submitted, which a broken pool would refuse
  auto guilty = s.submit(1);
  s.submit_behind();
  s.open(2);
  EXPECT_EQ(first.get(), 2);
  EXPECT_THROW(guilty.get(), remuda::worker_died);
  for (auto& f : s.behind) EXPECT_THROW(f.get(), remuda::broken_pool_error);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(runs_in(s.runs(100 + i)), 0U);
  EXPECT_THROW(s.pool->submit(task, s.runs(3), 3), remuda::broken_pool_error);
  EXPECT_EQ(s.pool->stats().died, 3U);
  s.end();
  EXPECT_TRUE(has_no_child());
}

TEST(Promise25CrashSteps, AsleepNothingIsUnderWay) {
  scene s;
  s.points.die_at(fault::before_sleep);
  EXPECT_EQ(s.submit(1).get(), 1);
  s.points.reached(fault::before_sleep);
  EXPECT_TRUE(eventually([&] { return s.pool->stats().died == 1; }));
  s.submit_behind();
  s.check_behind();
  s.finish();
}

TEST(Promise25CrashSteps, WhatIsSentToASleeperGoesElsewhere) {
  scene s;
  auto first = s.occupy(1);
  s.points.stop_at(fault::before_sleep);  // the next one: it is in a task
  s.open(1);
  EXPECT_EQ(first.get(), 1);
  const pid_t sleeper = s.points.reached(fault::before_sleep);
  s.submit_behind();
  ASSERT_EQ(::kill(sleeper, SIGKILL), 0);
  s.check_behind();
  EXPECT_EQ(s.pool->stats().died, 1U);
  s.finish();
}

TEST(Promise29CrashSteps, TheZygoteDies) {
  // What it leaves behind becomes a child of this process, where the test sees it.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (const fault point : {fault::zygote_received, fault::zygote_forked, fault::zygote_reaped}) {
    SCOPED_TRACE(static_cast<int>(point));
    scene s(workers(2));
    auto bystander = s.occupy(1);
    s.points.die_at(fault::in_task);
    s.points.die_at(point);
    auto guilty = s.submit(2);
    auto again = s.submit(3, 2);
    s.submit_behind(1);  // a worker that nobody has heard of may have begun one when it is killed
    s.points.reached(point);
    EXPECT_THROW(guilty.get(), remuda::worker_died);
    EXPECT_EQ(runs_in(s.runs(2)), 1U);
    EXPECT_THROW(bystander.get(), remuda::worker_died);
    EXPECT_EQ(again.get(), 3);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(s.behind[static_cast<std::size_t>(i)].get(), 100 + i);
    EXPECT_EQ(s.submit(1'000).get(), 1'000);
    s.end();
    EXPECT_TRUE(eventually(has_no_child));
  }
}

}  // namespace
