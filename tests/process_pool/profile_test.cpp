// Pools of both kinds and their profiles: which file is read, what is taken from it, and that no file can stop a pool.
#include "remuda/profile.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "remuda/process_pool.hpp"
#include "remuda/topology.hpp"
#include "runtime/proc/segment.hpp"
#include "runtime/sched/settings.hpp"
#include "runtime/topo/fingerprint.hpp"
#include "runtime/topo/whole_machine.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/tools/run_program.hpp"

namespace remuda::test {
namespace {

using tools_test::temporary_folder;

/// An environment variable for the time of a test; null: not set.
class environment {
 public:
  environment(const char* name, const char* value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~environment() { set(before_ ? before_->c_str() : nullptr); }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;

 private:
  void set(const char* value) { value == nullptr ? unsetenv(name_) : setenv(name_, value, 1); }

  const char* name_;
  std::optional<std::string> before_;
};

/// Nothing but what a test says tells a pool of a profile.
class Profiles : public testing::Test {
 protected:
  static profile of_this_machine() {
    profile p;
    p.machine = this_machine_fingerprint();
    return p;
  }
  std::string write(const std::string& name, const profile& p) const {
    return folder_.write(name, to_json(p)).native();
  }
  /// Told apart by the spin.
  std::string with_spin(const std::string& name, int spin) const {
    profile p = of_this_machine();
    p.settings.spin = std::chrono::nanoseconds(spin);
    return write(name, p);
  }

  temporary_folder folder_;
  environment config_{"XDG_CONFIG_HOME", (folder_.path() / "config").c_str()};
  environment home_{"HOME", (folder_.path() / "home").c_str()};
  environment profile_{"REMUDA_PROFILE", nullptr};
};

pool_settings settings_of_pool(const std::optional<std::string>& profile = std::nullopt) {
  thread_pool_options options;
  options.workers = 1;
  options.profile = profile;
  return thread_pool(options).settings();
}

int spin_of_pool(const std::optional<std::string>& profile = std::nullopt) {
  return static_cast<int>(settings_of_pool(profile).spin.count());
}

constexpr int built_in = 100'000;

TEST_F(Profiles, OptionBeforeEnvironmentBeforeFolderBeforeBuiltIn) {
  EXPECT_EQ(spin_of_pool(), built_in);
  EXPECT_EQ(settings_of_pool().profile, "");
  const std::string home = with_spin("home/.config/remuda/profile.json", 1'001);
  EXPECT_EQ(spin_of_pool(), built_in);  // XDG_CONFIG_HOME is another folder
  {
    const environment none("XDG_CONFIG_HOME", nullptr);
    EXPECT_EQ(spin_of_pool(), 1'001);
    const environment relative("XDG_CONFIG_HOME", "config");
    EXPECT_EQ(settings_of_pool().profile, home);
  }
  const std::string config = with_spin("config/remuda/profile.json", 1'002);
  EXPECT_EQ(spin_of_pool(), 1'002);
  EXPECT_EQ(settings_of_pool().profile, config);
  const std::string named = with_spin("named.json", 1'003);
  const environment names("REMUDA_PROFILE", named.c_str());
  EXPECT_EQ(spin_of_pool(), 1'003);
  EXPECT_EQ(spin_of_pool(with_spin("option.json", 1'004)), 1'004);
  EXPECT_EQ(spin_of_pool(""), built_in);
  const environment empty("REMUDA_PROFILE", "");
  EXPECT_EQ(spin_of_pool(), built_in);
}

TEST_F(Profiles, OptionsBeforeWhatAProfileSays) {
  profile p = of_this_machine();
  p.settings.policy = wait_policy::busy_poll;
  p.settings.pin = false;
  thread_pool_options options;
  options.profile = write("p.json", p);
  options.workers = 2;
  options.policy = wait_policy::efficient;
  options.pin = true;
  const thread_pool threads(options);
  EXPECT_EQ(threads.settings().policy, wait_policy::efficient);
  EXPECT_EQ(threads.settings().spin.count(), 0);
  EXPECT_TRUE(threads.settings().pin);
  EXPECT_EQ(threads.settings().workers, 2U);
  EXPECT_EQ(threads.size(), 2U);
  EXPECT_GE(threads.stats().workers[0].cpu, 0);
}

TEST_F(Profiles, AThreadPoolDoesAsItsProfileSays) {
  profile p = of_this_machine();
  p.settings.policy = wait_policy::busy_poll;
  p.settings.pin = false;
  p.settings.workers = worker_rule::per_core;
  thread_pool_options options;
  options.profile = write("p.json", p);
  thread_pool pool(options);
  const topology machine = detect_topology();
  EXPECT_EQ(pool.size(), detail::workers_of(worker_rule::per_core, machine));
  for (int i = 0; i < 100; ++i) pool.submit([] {}).get();
  for (const auto& w : pool.stats().workers) {
    EXPECT_EQ(w.cpu, -1);
    EXPECT_EQ(w.parked, 0U);  // they never sleep
  }
  const auto cpus = [] {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    sched_getaffinity(0, sizeof mask, &mask);
    return CPU_COUNT(&mask);
  };
  EXPECT_EQ(pool.submit(cpus).get(), cpus());
}

/// Bytes of the memory that a worker shares with its pool.
std::uint64_t bytes_of_segment() {
  std::ifstream maps("/proc/self/maps");
  std::uint64_t bytes = 0;
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with("/memfd:remuda (deleted)")) continue;
    std::istringstream range(line);
    std::uint64_t begin = 0, end = 0;
    char dash = 0;
    range >> std::hex >> begin >> dash >> end;
    bytes += end - begin;
  }
  return bytes;
}

TEST_F(Profiles, AProcessPoolDoesAsItsProfileSays) {
  profile p = of_this_machine();
  p.settings.policy = wait_policy::busy_poll;
  p.settings.pin = false;
  p.settings.ring_slots = 1024;
  process_pool_options options = with_workers(1);
  options.max_payload = 4096;
  options.profile = write("p.json", p);
  process_pool pool(options);
  EXPECT_EQ(pool.settings().ring_slots, 1024U);
  EXPECT_EQ(pool.settings().profile, *options.profile);
  EXPECT_EQ(pool.submit(bytes_of_segment).get(), detail::segment_layout(1024, 4096, 4096).total);
  EXPECT_EQ(pool.stats().workers[0].cpu, -1);
  // Without work it spins all the same.
  const pid_t worker = processes_of(pool).front();
  clockid_t clock{};
  ASSERT_EQ(clock_getcpuclockid(worker, &clock), 0);
  const auto used = [clock] {
    timespec t{};
    clock_gettime(clock, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
  };
  const auto before = used();
  EXPECT_TRUE(eventually([&] { return used() > before + 20'000'000; }));

  options.profile = "";
  process_pool other(options);
  EXPECT_EQ(other.settings().ring_slots, 256U);
  EXPECT_EQ(other.submit(bytes_of_segment).get(), detail::segment_layout(256, 4096, 4096).total);
  EXPECT_GE(other.stats().workers[0].cpu, 0);
}

TEST_F(Profiles, ACutOffLeavesNoTaskLying) {
  for (const auto policy : {wait_policy::efficient, wait_policy::balanced, wait_policy::busy_poll}) {
    profile p = of_this_machine();
    p.settings.policy = policy;
    p.settings.steal_near = nearness::core;
    p.settings.near_looks = tuned_settings::most_looks;
    thread_pool_options options;
    options.profile = write("p.json", p);
    options.workers = 2;
    options.pin = true;
    thread_pool pool(options);
    EXPECT_EQ(pool.settings().near_looks, tuned_settings::most_looks);
    for (int i = 0; i < 20; ++i) {
      // The child lies in the deque of a worker that is busy until somebody else has run it.
      pool.submit([&pool] {
            std::atomic<bool> done{false};
            pool.post([&done] { done = true; });
            EXPECT_TRUE(eventually([&done] { return done.load(); }));
          })
          .get();
    }
    if (pool.stats().workers[0].cpu != pool.stats().workers[1].cpu) {
      EXPECT_GE(pool.stats().total().stolen, 20U);
    }
  }
}

/// What a pool made with this option prints, which takes the built-in settings.
std::string complaint_about(const std::optional<std::string>& path) {
  testing::internal::CaptureStderr();
  const pool_settings s = settings_of_pool(path);
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(s.spin.count(), built_in);
  EXPECT_EQ(s.profile, "");
  return text;
}

void expect_one_line_about(const std::string& path, const std::string& reason) {
  const std::string text = complaint_about(path);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("remuda: profile " + path + " is not used: "), std::string::npos) << text;
  EXPECT_NE(text.find(reason), std::string::npos) << text;
  EXPECT_EQ(complaint_about(path), "") << "it was told already";
}

TEST_F(Profiles, WhatCannotBeUsedIsToldOnceAndStopsNoPool) {
  profile p = of_this_machine();
  p.machine.cpu_model = "another one";
  expect_one_line_about(write("other.json", p), "another machine (CPU model \"another one\" there");
  std::string text = to_json(of_this_machine());
  expect_one_line_about(folder_.write("cut.json", text.substr(0, text.size() / 2)).native(), "not whole");
  text.replace(text.find("\"remuda_profile\": 1"), 19, "\"remuda_profile\": 2");
  expect_one_line_about(folder_.write("version.json", text).native(), "version 2");
  expect_one_line_about((folder_.path() / "missing.json").native(), "No such file");
  expect_one_line_about(folder_.path().native(), "folder");
  const std::string pipe = (folder_.path() / "pipe").native();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_one_line_about(pipe, "not a plain file");
  testing::internal::CaptureStderr();
  {
    process_pool_options options = with_workers(1);
    options.profile = (folder_.path() / "cut.json").native();
    process_pool pool(options);
    EXPECT_EQ(pool.settings().spin.count(), built_in);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "it was told already, in whichever pool";
}

TEST_F(Profiles, ANameWithoutAFileInTheUsersFolderIsNoComplaint) { EXPECT_EQ(complaint_about(std::nullopt), ""); }

TEST_F(Profiles, AFileThatHasChangedIsReadAgain) {
  const std::string path = with_spin("p.json", 1'001);
  EXPECT_EQ(spin_of_pool(path), 1'001);
  std::filesystem::rename(with_spin("new.json", 1'002), path);  // as tune does
  EXPECT_EQ(spin_of_pool(path), 1'002);
  std::filesystem::rename(folder_.write("new.json", "damaged"), path);
  EXPECT_NE(complaint_about(path), "");
  std::filesystem::rename(with_spin("new.json", 1'003), path);
  EXPECT_EQ(spin_of_pool(path), 1'003);
}

TEST_F(Profiles, ManyPoolsAtATimeReadOneFile) {
  const std::string path = with_spin("p.json", 1'001);
  std::vector<std::thread> makers;
  makers.reserve(4);
  for (int i = 0; i < 4; ++i) makers.emplace_back([&path] { EXPECT_EQ(spin_of_pool(path), 1'001); });
  for (auto& each : makers) each.join();
}

TEST_F(Profiles, AChildOfAForkReadsThemToo) {
  const std::string path = with_spin("p.json", 1'001);
  EXPECT_EQ(spin_of_pool(path), 1'001);
  EXPECT_TRUE(well(in_child([&] { return std::string(spin_of_pool(path) == 1'001 ? "" : "another spin"); })));
}

TEST_F(Profiles, TheCachedTopologyIsTakenForTheMachine) {
  // In a fresh process, as the machine is looked at once in each.
  profile p = of_this_machine();
  p.topology = topo::boot_state();
  ASSERT_NE(p.topology.boot_id, "");
  p.topology.xml = topo::machine_source::described("pack:1 [numa] core:5 pu:1").xml();
  p.settings.topology_from_cache = true;
  const std::string path = write("p.json", p);
  const environment names("REMUDA_PROFILE", path.c_str());
  const environment asks("REMUDA_TEST_CORES", "1");
  const auto cores = [] {
    return tools_test::run_program({"/proc/self/exe", "--gtest_filter=CoresOfThisMachine.*"}).out;
  };
  EXPECT_NE(cores().find("cores: 5\n"), std::string::npos) << cores();
  p.topology.boot_id = "another boot";
  write("p.json", p);
  const std::string honest = "cores: " + std::to_string(this_machine_fingerprint().cores) + "\n";
  EXPECT_NE(cores().find(honest), std::string::npos) << cores();
}

// Not a test of its own: what the one above runs.
TEST(CoresOfThisMachine, ArePrinted) {
  if (std::getenv("REMUDA_TEST_CORES") == nullptr) return;
  thread_pool_options options;
  options.workers = 1;
  const thread_pool pool(options);
  EXPECT_NE(pool.settings().profile, "");
  const topology whole = topo::detect_all();
  std::set<unsigned> cores;
  for (const cpu& each : whole.cpus) cores.insert(each.core);
  std::printf("cores: %zu\n", cores.size());
}

}  // namespace
}  // namespace remuda::test
