// `remuda measure` on this machine, whatever it is: what holds of figures on any, and how the program ends.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "remuda/topology.hpp"
#include "run_program.hpp"
#include "runtime/topo/measurements.hpp"
#include "tools/remuda/measure/measuring.hpp"
#include "tools/remuda/measure/session.hpp"

namespace remuda::tool {
namespace {

using tools_test::finished;
using tools_test::run_program;
using tools_test::temporary_folder;

finished run_measure(std::vector<std::string> arguments, const std::function<void()>& prepare = {}) {
  arguments.insert(arguments.begin(), {REMUDA_PROGRAM, "measure"});
  return run_program(arguments, prepare);
}

bool mentions(const std::vector<std::string>& sentences, const std::string& part) {
  return std::any_of(sentences.begin(), sentences.end(),
                     [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

void expect_positive(const topo::summary& s, const char* name) {
  EXPECT_GT(s.repeats, 0U) << name;
  EXPECT_GT(s.p10, 0) << name;
}

TEST(Measure, AllOfItHoldsTogether) {
  const topology machine = detect_topology();
  const finished f = run_measure({"--json", "--seconds", "0.5"});
  ASSERT_EQ(f.status, 0) << f.err;
  const topo::measurements m = topo::measurements_from_json(f.out);
  EXPECT_FALSE(m.taken_at.empty());
  EXPECT_GT(m.seconds, 0);
  EXPECT_EQ(m.cpus.size(), std::min<std::size_t>(machine.cpus.size(), 32));
  expect_positive(m.pause, "pause");
  ASSERT_FALSE(m.memory.empty());
  for (const auto& each : m.memory) {
    expect_positive(each.latency, "latency");
    expect_positive(each.bandwidth, "bandwidth");
  }
  EXPECT_EQ(m.jitter.size(), m.cpus.size());
  if (machine.cpus.size() < 2) {
    EXPECT_TRUE(m.core_to_core.empty());
    EXPECT_TRUE(mentions(m.doubts, "need two CPUs"));
    return;
  }
  const std::size_t width = m.cpus.size();
  ASSERT_EQ(m.core_to_core.size(), width * width);
  for (std::size_t a = 0; a < width; ++a) {
    EXPECT_EQ(m.core_to_core[a * width + a].repeats, 0U);
    for (std::size_t b = 0; b < a; ++b) {
      expect_positive(m.core_to_core[a * width + b], "core to core");
      EXPECT_EQ(m.core_to_core[a * width + b].median, m.core_to_core[b * width + a].median);
    }
  }
  expect_positive(m.futex_call, "futex call");
  expect_positive(m.wake_hot, "hot");
  expect_positive(m.wake_cold, "cold");
  expect_positive(m.ring_round_trip, "ring");
  EXPECT_EQ(m.steals.size(), one_pair_each(machine.cpus).size());
  for (const auto& each : m.steals) expect_positive(each.cost, "steal");
}

TEST(Measure, OnlyWhatWasAskedFor) {
  const finished f = run_measure({"--json", "--seconds", "0.1", "--only", "pause,jitter"});
  ASSERT_EQ(f.status, 0) << f.err;
  const topo::measurements m = topo::measurements_from_json(f.out);
  expect_positive(m.pause, "pause");
  EXPECT_FALSE(m.jitter.empty());
  EXPECT_TRUE(m.core_to_core.empty() && m.steals.empty() && m.memory.empty());
  EXPECT_EQ(m.futex_call.repeats + m.wake_hot.repeats + m.wake_cold.repeats + m.ring_round_trip.repeats, 0U);
}

TEST(Measure, OneCpuLeavesOutThePairsAndSaysSo) {
  const std::string cpu = std::to_string(detect_topology().cpus.back().os_index);
  const auto one_only = [] {
    cpu_set_t allowed, one;
    sched_getaffinity(0, sizeof allowed, &allowed);
    CPU_ZERO(&one);
    int last = 0;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &allowed)) last = i;
    }
    CPU_SET(last, &one);
    sched_setaffinity(0, sizeof one, &one);
  };
  for (const finished& f : {run_measure({"--json", "--seconds", "0.1", "--cpus", cpu}),
                            run_measure({"--json", "--seconds", "0.1"}, one_only)}) {
    ASSERT_EQ(f.status, 0) << f.err;
    const topo::measurements m = topo::measurements_from_json(f.out);
    EXPECT_EQ(m.cpus, std::vector<unsigned>{detect_topology().cpus.back().os_index});
    EXPECT_TRUE(mentions(m.doubts, "core_to_core, wake, ring, steal need two CPUs, and there is only CPU " + cpu));
    EXPECT_NE(f.err.find("need two CPUs"), std::string::npos) << "the doubts go to stderr as well";
    EXPECT_TRUE(m.core_to_core.empty() && m.steals.empty());
    expect_positive(m.pause, "pause");
    EXPECT_FALSE(m.memory.empty());
  }
  const finished text = run_measure({"--seconds", "0.1", "--only", "pause,wake", "--cpus", cpu});
  EXPECT_EQ(text.status, 0);
  EXPECT_NE(text.out.find("wake needs two CPUs"), std::string::npos) << text.out;
}

TEST(Measure, CpusThatCannotBeUsedAreLeftOutWithTheirReason) {
  measure_settings settings;
  settings.machine = detect_topology();
  settings.machine.cpus.resize(1);
  for (const unsigned number : {60'000U, 60'001U}) {
    cpu none = settings.machine.cpus.back();
    none.os_index = number;
    none.core += 1;
    settings.machine.cpus.push_back(none);
  }
  settings.seconds = 0.05;
  settings.only = {"core_to_core", "pause"};
  topo::measurements m = measure(settings);
  EXPECT_TRUE(mentions(m.doubts, "CPU 60000 cannot be used"));
  EXPECT_TRUE(mentions(m.doubts, "there is only CPU"));
  expect_positive(m.pause, "pause");

  settings.machine.cpus.erase(settings.machine.cpus.begin());  // as where every thread's place is decided by others
  settings.only = {"ring", "pause", "memory", "jitter"};
  m = measure(settings);
  EXPECT_TRUE(mentions(m.doubts, "ring needs two CPUs, and there is none"));
  expect_positive(m.pause, "pause");
  EXPECT_FALSE(m.memory.empty());
  EXPECT_TRUE(m.jitter.empty());
}

TEST(Measure, ProgressRunsFromNothingToAll) {
  measure_settings settings;
  settings.machine = detect_topology();
  settings.seconds = 0.1;
  settings.only = {"pause", "jitter"};
  std::vector<double> shares;
  std::set<std::string, std::less<>> labels;
  settings.progress = [&](double done, double left, std::string_view now) {
    shares.push_back(done);
    labels.emplace(now);
    EXPECT_GE(left, 0);
    EXPECT_LE(left, 0.1);
  };
  measure(settings);
  ASSERT_FALSE(shares.empty());
  EXPECT_EQ(shares.front(), 0);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_LT(shares.back(), 1);
  EXPECT_TRUE(labels.contains("pause"));
}

TEST(Measure, FilesAreWrittenBesideTheText) {
  const temporary_folder folder;
  const auto json = folder.path() / "m.json", svg = folder.path() / "m.svg";
  const finished f = run_measure({"--seconds", "0.1", "--only", "core_to_core,pause", "-o", json, "--svg", svg});
  ASSERT_EQ(f.status, 0) << f.err;
  EXPECT_EQ(f.err, "");
  EXPECT_NE(f.out.find("pause instruction"), std::string::npos) << f.out;
  EXPECT_EQ(f.out.find('\x1b'), std::string::npos);
  expect_positive(topo::measurements_from_json(tools_test::read_file(json)).pause, "pause");
  EXPECT_TRUE(tools_test::read_file(svg).ends_with("</svg>\n"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(Measure, WhatCannotBeWrittenIsAnError) {
  const temporary_folder folder;
  for (const std::string& path : {std::string("/dev/full"), (folder.path() / "none" / "file").native()}) {
    for (const char* option : {"-o", "--svg"}) {
      const finished f = run_measure({"--seconds", "0.1", "--only", "pause", option, path});
      EXPECT_EQ(f.status, 1) << path;
      EXPECT_NE(f.err.find(path), std::string::npos) << f.err;
    }
  }
  const finished f = run_measure({"--seconds", "0.1", "--only", "pause", "--json"},
                                 [] { ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO); });
  EXPECT_EQ(f.status, 1);
  EXPECT_NE(f.err, "");
}

TEST(Measure, WrongUseIsToldApart) {
  const std::vector<std::vector<std::string>> wrong{
      {"--only", "nothing"},   {"--only", ""},      {"--only", "pause,,ring"}, {"--only"},         {"--seconds", "0"},
      {"--seconds", "nan"},    {"--seconds", "-1"}, {"--seconds", "1e9"},      {"--seconds", "x"}, {"--cpus", "a"},
      {"--cpus", "3-1"},       {"--cpus", "60000"}, {"--cpus", "-1"},          {"--unknown"},      {"file"},
      {"--cpus", "4294967296"}};
  for (const auto& arguments : wrong) {
    const finished f = run_measure(arguments);
    EXPECT_EQ(f.status, 2) << testing::PrintToString(arguments) << f.err;
    EXPECT_NE(f.err, "") << testing::PrintToString(arguments);
    EXPECT_EQ(f.out, "");
  }
  const finished help = run_measure({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const std::string& name : measurement_names()) EXPECT_NE(help.out.find(name), std::string::npos) << name;
  EXPECT_GE(std::count(help.out.begin(), help.out.end(), '\n'), 10);
  EXPECT_NE(help.out.find("Examples:"), std::string::npos);
}

// --- signals

// Of a process: its threads, as /proc counts them.
std::size_t threads_of(pid_t process) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator each("/proc/" + std::to_string(process) + "/task", error), end;
       !error && each != end; each.increment(error)) {
    ++count;
  }
  return count;
}

void interrupt(const char* what, int signal) {
  const temporary_folder folder;
  const std::string file = (folder.path() / "m.json").native();
  std::vector<std::string> words{REMUDA_PROGRAM, "measure", "--seconds", "600", "--only", what, "-o", file};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    std::signal(signal, SIG_DFL);
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  ASSERT_GT(child, 0);
  // A second thread is there only while something is measured.
  while (threads_of(child) < 2) ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0);
  kill(-child, signal);
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFEXITED(state));
  EXPECT_EQ(WEXITSTATUS(state), 128 + signal);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_TRUE(kill(-child, 0) == -1 && errno == ESRCH) << "a process of it is left";
}

TEST(MeasureInterrupted, EndsAtOnceAndLeavesNothing) {
  interrupt("core_to_core,memory", SIGINT);
  interrupt("wake,pause", SIGINT);
  interrupt("ring,pause", SIGINT);
  interrupt("steal,jitter", SIGTERM);
}

// --- the second process

// A machine of one CPU will do: both sides give it away when they have waited for a while.
cpu_pair first_and_last() {
  const topology machine = detect_topology();
  return {machine.cpus.front().os_index, machine.cpus.back().os_index};
}

std::string error_with(ring_server server) {
  samples found;
  try {
    measure_ring(first_and_last(), limit(clock::now() + std::chrono::hours(1)), found, server);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "none";
}

TEST(MeasureRing, ASecondProcessThatDiesIsAnErrorAndNoWait) {
  EXPECT_NE(error_with([](ring_memory&) { _exit(3); }).find("ended"), std::string::npos);
  EXPECT_NE(error_with([](ring_memory&) { ::kill(getpid(), SIGKILL); }).find("ended"), std::string::npos);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "all are reaped";
}

TEST(MeasureRing, ACpuThatIsNotThereIsAnError) {
  samples found;
  const limit until(clock::now());
  const unsigned here = first_and_last().first;
  EXPECT_THROW(measure_ring({here, 60'000}, until, found), cannot_pin);
  EXPECT_THROW(measure_ring({60'000, here}, until, found), cannot_pin);
  EXPECT_THROW(measure_line({here, 60'000}, until, found), cannot_pin);
  EXPECT_THROW(measure_steal({60'000, here}, until, found), cannot_pin);
  EXPECT_THROW(measure_wake({here, 60'000}, nanoseconds(1000), until, found, found), cannot_pin);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(MeasureSteps, EachIsTakenOnceAlsoWithoutTime) {
  const limit over(clock::now());
  samples lines, pauses, calls, wakes, rings, steals;
  measure_line(first_and_last(), over, lines);
  measure_pause(std::nullopt, over, pauses);
  measure_wake(first_and_last(), nanoseconds(20'000), over, calls, wakes);
  measure_ring(first_and_last(), over, rings);
  measure_steal(first_and_last(), over, steals);
  for (const samples* each : {&lines, &pauses, &rings, &steals}) {
    ASSERT_EQ(each->values().size(), 1U);
    EXPECT_GT(each->values()[0], 0);
  }
  EXPECT_EQ(calls.values().size(), wakes.values().size());
}

TEST(MeasureSteps, TheChainOfAnAreaVisitsEveryLineOnce) {
  constexpr std::size_t bytes = std::size_t{1} << 20;
  memory_area area(0, bytes);
  EXPECT_EQ(area.bytes(), bytes);
  std::set<const void*> seen;
  const memory_area::line* at = area.first();
  do {
    ASSERT_TRUE(seen.insert(at).second);
    at = at->next;
  } while (at != area.first());
  EXPECT_EQ(seen.size(), bytes / sizeof *at);
}

// --- the terminal

// What the program writes to a terminal of 80 columns.
std::string on_terminal(const char* no_colour) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  EXPECT_GE(master, 0);
  EXPECT_EQ(grantpt(master), 0);
  EXPECT_EQ(unlockpt(master), 0);
  const std::string name = ptsname(master);
  const pid_t child = fork();
  if (child == 0) {
    const int terminal = open(name.c_str(), O_RDWR | O_NOCTTY);
    dup2(terminal, STDOUT_FILENO);
    dup2(terminal, STDERR_FILENO);
    setenv("TERM", "xterm-256color", 1);
    setenv("NO_COLOR", no_colour, 1);
    execl(REMUDA_PROGRAM, REMUDA_PROGRAM, "measure", "--seconds", "0.7", "--only", "core_to_core,jitter,pause",
          nullptr);
    _exit(127);
  }
  std::string text;
  bool ended = false;
  for (char piece[4096];;) {
    pollfd readable{master, POLLIN, 0};
    if (poll(&readable, 1, 20) > 0) {
      const ssize_t got = read(master, piece, sizeof piece);
      if (got <= 0) break;  // EIO: the last one closed it
      text.append(piece, static_cast<std::size_t>(got));
    } else if (ended) {
      break;
    }
    ended = ended || waitpid(child, nullptr, WNOHANG) == child;
  }
  if (!ended) waitpid(child, nullptr, 0);
  close(master);
  return text;
}

TEST(MeasureTerminal, ShowsProgressAndColoursUnlessTheyAreNotWanted) {
  const std::string coloured = on_terminal("");
  const std::string plain = on_terminal("1");
  for (const std::string& text : {coloured, plain}) {
    EXPECT_NE(text.find("s left"), std::string::npos) << text;
    EXPECT_NE(text.find("pause instruction"), std::string::npos) << text;
    EXPECT_GT(text.find("pause instruction"), text.rfind("s left")) << "the bar is taken away first";
  }
  EXPECT_EQ(plain.find("48;5;"), std::string::npos);
  EXPECT_EQ(coloured.find("48;5;") != std::string::npos, detect_topology().cpus.size() > 1);
}

}  // namespace
}  // namespace remuda::tool
