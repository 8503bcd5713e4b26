// remuda tune and remuda profile, as a user and as a script see them; and how two ways are compared.

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "remuda/profile.hpp"
#include "runtime/topo/measurements.hpp"
#include "tests/tools/run_program.hpp"
#include "tools/remuda/tune/ratio.hpp"

namespace remuda::tool {
namespace {

using nlohmann::json;
using tools_test::finished;
using tools_test::read_file;
using tools_test::run_program;
using tools_test::temporary_folder;

constexpr int wrong_use = 2, not_usable = 12;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The user's configuration folder is this one.
class Tune : public testing::Test {
 protected:
  finished remuda(std::vector<std::string> arguments, const std::function<void()>& prepare = {}) const {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/env", "-u", "REMUDA_PROFILE", "XDG_CONFIG_HOME=" + config_, REMUDA_PROGRAM});
    return run_program(arguments, prepare);
  }
  std::string file(const char* name) const { return (folder_.path() / name).native(); }
  std::string measured(std::vector<std::string> doubts = {}) const {
    topo::measurements m;
    m.taken_at = "2030-01-02T03:04:05Z";
    m.wake_cold = {30'000, 20'000, 40'000, 50'000, 100};
    m.futex_call = {5'000, 4'000, 6'000, 7'000, 100};
    m.ring_round_trip = {1'000, 900, 1'100, 1'200, 100};
    m.doubts = std::move(doubts);
    return folder_.write("measured.json", topo::to_json(m)).native();
  }
  std::string write(const char* name, const profile& p) const { return folder_.write(name, to_json(p)).native(); }
  static profile of_this_machine() {
    profile p;
    p.machine = this_machine_fingerprint();
    return p;
  }

  temporary_folder folder_;
  std::string config_ = (folder_.path() / "config").native();
  std::string usual_ = config_ + "/remuda/profile.json";
};

TEST_F(Tune, WritesWhereShowAndPoolsFindIt) {
  const finished tuned = remuda({"tune", "--measurements", measured()});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_TRUE(contains(tuned.out, "Written to " + usual_)) << tuned.out;
  const profile p = load_profile(usual_);
  EXPECT_EQ(p.machine, this_machine_fingerprint());
  EXPECT_NE(p.made_at, "");
  EXPECT_EQ(p.settings.spin.count(), 70'000);
  EXPECT_NE(p.topology.xml, "");
  for (const setting_line& each : list_settings(p)) {
    EXPECT_NE(each.reason, "") << each.name;
    EXPECT_TRUE(contains(tuned.out, each.reason)) << each.name;
  }

  const finished shown = remuda({"profile", "show"});
  EXPECT_EQ(shown.status, 0) << shown.out << shown.err;
  EXPECT_TRUE(contains(shown.out, usual_ + " (in the user's configuration folder)")) << shown.out;
  EXPECT_TRUE(contains(shown.out, "70000 (built in: 100000)"));
  EXPECT_EQ(remuda({"profile", "check", usual_}).status, 0);
  // Nothing but the file is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(config_ + "/remuda"), {}), 1);
}

TEST_F(Tune, WhatIsInDoubtIsToldAndChangesNothing) {
  const finished tuned = remuda({"tune", "--measurements", measured({"made up"})});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_TRUE(contains(tuned.out, "stay as they are built in:\n  made up\n")) << tuned.out;
  EXPECT_EQ(load_profile(usual_).settings.spin, tuned_settings{}.spin);
}

TEST_F(Tune, JsonHasTheProfileThatWasWritten) {
  const std::string out = file("p.json");
  const finished tuned = remuda({"tune", "--measurements", measured({"made up"}), "-o", out, "--json"});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_EQ(tuned.err, "");
  const json document = json::parse(tuned.out);
  EXPECT_EQ(document.at("profile"), json::parse(read_file(out)));
  EXPECT_EQ(document.at("written_to"), out);
  EXPECT_EQ(document.at("measured"), true);
  EXPECT_EQ(document.at("doubts"), json{"made up"});
  EXPECT_EQ(document.at("workers"), document.at("cpus").size());
  EXPECT_FALSE(std::filesystem::exists(config_));
}

TEST_F(Tune, OtherMachinesAreNotMeasuredAndNotWrittenUnasked) {
  const finished f = remuda({"tune", "--topology", "pack:2 [numa] l3:1 core:64 pu:2", "--quota", "1.5", "--json"});
  ASSERT_EQ(f.status, 0) << f.err;
  const json document = json::parse(f.out);
  EXPECT_EQ(document.at("workers"), 1);
  EXPECT_EQ(document.at("measured"), false);
  EXPECT_EQ(document.at("written_to"), nullptr);
  EXPECT_EQ(document.at("profile").at("settings").at("wait_policy").at("value"), "efficient");
  EXPECT_EQ(document.at("profile").at("machine").at("cpus"), 256);
  EXPECT_FALSE(std::filesystem::exists(config_));
  const finished wide = remuda({"tune", "--topology", "pack:2 [numa] core:8 pu:2"});
  EXPECT_TRUE(contains(wide.out, "a pool gets 32 workers, on CPUs 0-31")) << wide.out << wide.err;
}

TEST_F(Tune, WhatItCannotReadOrWriteIsToldWithTheFile) {
  const std::string damaged = folder_.write("damaged", "{").native();
  const finished unread = remuda({"tune", "--measurements", damaged});
  EXPECT_EQ(unread.status, wrong_use);
  EXPECT_TRUE(contains(unread.err, damaged)) << unread.err;
  EXPECT_FALSE(std::filesystem::exists(config_));
  EXPECT_NE(remuda({"tune", "--measurements", file("missing")}).status, 0);

  const finished folder = remuda({"tune", "-o", folder_.path().native()});
  EXPECT_EQ(folder.status, 1);
  EXPECT_TRUE(contains(folder.err, "is a folder")) << folder.err;
  const finished full = remuda({"tune", "--measurements", measured(), "-o", "/dev/full"});
  EXPECT_EQ(full.status, 1);
  EXPECT_TRUE(contains(full.err, "/dev/full")) << full.err;

  // A disk on which no room is left for it: the earlier profile is as it was.
  const std::string out = write("p.json", of_this_machine());
  const std::string before = read_file(out);
  const finished short_of = remuda({"tune", "--measurements", measured(), "-o", out}, [] {
    const rlimit bytes{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &bytes);
    ::signal(SIGXFSZ, SIG_IGN);
  });
  EXPECT_EQ(short_of.status, 1);
  EXPECT_TRUE(contains(short_of.err, out)) << short_of.err;
  EXPECT_EQ(read_file(out), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 3);
}

TEST_F(Tune, VerifyNeedsThisMachine) {
  EXPECT_EQ(remuda({"tune", "--verify", "--quota", "1"}).status, wrong_use);
  EXPECT_EQ(remuda({"tune", "--verify", "--rounds", "0", "--measurements", measured()}).status, wrong_use);
}

TEST_F(Tune, VerifyComparesAllWorkloads) {
  const finished f = remuda({"tune", "--verify", "--rounds", "1", "--measurements", measured(), "--json"});
  ASSERT_EQ(f.status, 0) << f.err;
  const json verified = json::parse(f.out).at("verify");
  EXPECT_EQ(verified.at("verdict"), "unclear");  // one round says nothing
  EXPECT_EQ(verified.at("workloads").size(), 7U);
  for (const json& each : verified.at("workloads")) {
    EXPECT_GT(each.at("built_in_ns"), 0);
    EXPECT_GT(each.at("profile_ns"), 0);
    EXPECT_EQ(each.at("high"), nullptr);
  }
}

TEST_F(Tune, CheckSaysWhatIsWrong) {
  profile p = of_this_machine();
  EXPECT_EQ(remuda({"profile", "check", write("good.json", p)}).status, 0);
  p.machine.cpus += 1;
  const finished other = remuda({"profile", "check", write("other.json", p)});
  EXPECT_EQ(other.status, not_usable);
  EXPECT_TRUE(contains(other.out, "another machine (CPUs")) << other.out;
  const std::string whole = to_json(p);
  const finished cut = remuda({"profile", "check", "--json", folder_.write("cut", whole.substr(0, 99)).native()});
  EXPECT_EQ(cut.status, not_usable);
  EXPECT_EQ(json::parse(cut.out).at("usable"), false);
  EXPECT_TRUE(contains(json::parse(cut.out).at("why_not"), "not whole"));
  EXPECT_EQ(remuda({"profile", "check", file("missing")}).status, not_usable);
  const std::string pipe = file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(remuda({"profile", "check", pipe}).status, not_usable);
  EXPECT_EQ(remuda({"profile", "check"}).status, wrong_use);
  EXPECT_EQ(remuda({"profile"}).status, wrong_use);
}

TEST_F(Tune, DiffNamesTheSettingsThatDiffer) {
  const profile a = of_this_machine();
  profile b = a;
  b.reasons["pin"] = "another reason";
  EXPECT_EQ(remuda({"profile", "diff", write("a", a), write("b", b)}).status, 0);
  b.settings.pin = false;
  b.settings.ring_slots = 64;
  const finished f = remuda({"profile", "diff", file("a"), write("b", b)});
  EXPECT_EQ(f.status, 1);
  EXPECT_TRUE(contains(f.out, "true -> false")) << f.out;
  EXPECT_FALSE(contains(f.out, "spin_ns"));
  const json document = json::parse(remuda({"profile", "diff", "--json", file("a"), file("b")}).out);
  EXPECT_EQ(document.at("settings").size(), 2U);
  EXPECT_EQ(document.at("settings").at(1).at("right"), "64");
  EXPECT_EQ(remuda({"profile", "diff", file("a"), file("missing")}).status, not_usable);
}

TEST_F(Tune, ShowTellsWhichAndWhy) {
  const finished none = remuda({"profile", "show"});
  EXPECT_EQ(none.status, 0);
  EXPECT_TRUE(contains(none.out, "No profile")) << none.out;
  EXPECT_TRUE(contains(none.out, "spin_ns"));
  EXPECT_EQ(json::parse(remuda({"profile", "show", "--json"}).out).at("file"), nullptr);
  folder_.write("config/remuda/profile.json", "{}");
  const finished damaged = remuda({"profile", "show"});
  EXPECT_EQ(damaged.status, not_usable);
  EXPECT_TRUE(contains(damaged.out, "do not use it")) << damaged.out;
  const finished named = remuda({"profile", "show", "--json", write("p", of_this_machine())});
  EXPECT_EQ(named.status, 0);
  EXPECT_EQ(json::parse(named.out).at("why"), "named on the command line");
}

TEST(Ratio, SaysNothingOfFewRounds) {
  const ratio r = compare({2, 2, 2}, {1, 1, 1});
  EXPECT_EQ(r.said, verdict::unclear);
  EXPECT_EQ(r.median, 2);
  EXPECT_EQ(r.low, 0);
  EXPECT_TRUE(std::isinf(r.high));
}

TEST(Ratio, FindsADifferenceAndOnlyThat) {
  std::mt19937 random(7);
  std::lognormal_distribution<double> noise(0, 0.05);
  const std::vector<std::pair<double, verdict>> truths{
      {1.0, verdict::same}, {1.2, verdict::better}, {1 / 1.2, verdict::worse}};
  for (const auto& [factor, said] : truths) {
    std::vector<double> before, after;
    for (int i = 0; i < 21; ++i) {
      before.push_back(100 * factor * noise(random));
      after.push_back(100 * noise(random));
    }
    const ratio r = compare(before, after);
    EXPECT_EQ(r.said, said);
    EXPECT_LT(r.low, r.median);
    EXPECT_GT(r.high, r.median);
    EXPECT_GE(r.confidence, 0.99);
  }
}

TEST(Ratio, IntervalIsThatOfTheSignTest) {
  std::vector<double> before;
  for (int i = 1; i <= 8; ++i) before.push_back(i);
  const std::vector<double> after(8, 1.0);
  const ratio r = compare(before, after, 0.99);  // 1 - 2 / 256
  EXPECT_EQ(r.low, 1);
  EXPECT_EQ(r.high, 8);
  EXPECT_DOUBLE_EQ(r.confidence, 1 - 2.0 / 256);
  EXPECT_EQ(compare(before, after, 0.92).low, 2);  // 1 - 2 * 9 / 256
}

TEST(Ratio, ADifferenceThatIsSureButTooSmallToMatterIsNone) {
  std::vector<double> before, after;
  for (int i = 0; i < 21; ++i) {
    before.push_back(101 + 0.001 * i);
    after.push_back(100);
  }
  EXPECT_EQ(compare(before, after).said, verdict::same);
}

}  // namespace
}  // namespace remuda::tool
