// Profiles as files: what is written comes back; what is not a whole, valid profile is refused with a reason.
#include "remuda/profile.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "remuda/error.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/fingerprint.hpp"
#include "runtime/topo/nearness.hpp"
#include "tests/tools/run_program.hpp"

namespace remuda {
namespace {

using tools_test::temporary_folder;

// Each value another one than what is built in.
profile made_up() {
  profile p;
  p.made_at = "2030-01-02T03:04:05Z";
  p.made_by = "0.1.0";
  p.machine = {"Some \"CPU\" @ 3 GHz", "KVM", 16, 8, 2, 4, 1};
  p.settings.workers = worker_rule::per_core;
  p.settings.pin = false;
  p.settings.policy = wait_policy::efficient;
  p.settings.spin = std::chrono::nanoseconds(62'000);
  p.settings.steal_near = nearness::l3;
  p.settings.near_looks = 7;
  p.settings.ring_slots = 64;
  p.settings.topology_from_cache = true;
  for (const setting_line& each : list_settings(p)) p.reasons[each.name] = "why " + each.name;
  p.topology = {"0123-4567", "cpus 0-15 nodes 0-3", "<topology/>\n"};
  return p;
}

std::string reason_of_refusal(const std::string& text) {
  try {
    profile_from_json(text);
  } catch (const error& e) {
    return e.what();
  }
  return "accepted";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Profile, ComesBackFromItsTextAsItWas) {
  const profile before = made_up();
  EXPECT_EQ(profile_from_json(to_json(before)), before);
  EXPECT_EQ(profile_from_json(to_json(profile{})), profile{});
}

TEST(Profile, EverySettingIsListedWithItsValueAndReason) {
  const auto lines = list_settings(made_up());
  std::vector<std::string> values;
  values.reserve(lines.size());
  for (const setting_line& each : lines) {
    values.push_back(each.value);
    EXPECT_NE(each.value, each.built_in) << each.name;
    EXPECT_EQ(each.reason, "why " + each.name);
  }
  EXPECT_EQ(values, (std::vector<std::string>{"per_core", "false", "efficient", "62000", "l3", "7", "64", "true"}));
}

TEST(Profile, ASettingThatIsNotThereIsAsBuiltIn) {
  const std::string text =
      replaced(to_json(profile{}), to_json(profile{}).substr(to_json(profile{}).find("\"settings\"")),
               "\"settings\": {\"pin\": {\"value\": false}}}");
  const profile p = profile_from_json(text);
  tuned_settings expected;
  expected.pin = false;
  EXPECT_EQ(p.settings, expected);
}

TEST(Profile, BytesThatAreNoTextDoNotStopTheWriter) {
  profile p;
  p.machine.cpu_model = "\xff\xfe CPU";
  EXPECT_TRUE(contains(profile_from_json(to_json(p)).machine.cpu_model, " CPU"));
}

TEST(ProfileDamage, EveryTruncationIsRefused) {
  const std::string whole = to_json(made_up());
  for (std::size_t size = 0; size + 2 <= whole.size(); ++size) {  // the last byte is the line's end
    const std::string reason = reason_of_refusal(whole.substr(0, size));
    ASSERT_TRUE(contains(reason, "not whole")) << size << ": " << reason;
  }
}

TEST(ProfileDamage, AByteThatChangedGivesAReasonOrSettingsWithinTheirBounds) {
  const std::string whole = to_json(made_up());
  std::mt19937 random(4);
  unsigned refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole;
    for (unsigned n = 1 + random() % 3; n != 0; --n) text[random() % text.size()] = static_cast<char>(random());
    try {
      const profile p = profile_from_json(text);
      const tuned_settings& s = p.settings;
      EXPECT_EQ(p.topology.xml, made_up().topology.xml);
      EXPECT_LE(s.spin, tuned_settings::most_spin);
      EXPECT_GE(s.spin.count(), 0);
      EXPECT_LE(s.near_looks, tuned_settings::most_looks);
      EXPECT_TRUE(std::has_single_bit(s.ring_slots));
    } catch (const error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000U);
}

struct refusal {
  const char* what;
  const char* by;
  const char* reason;
};

TEST(ProfileDamage, WrongMembersAreNamed) {
  const std::string whole = to_json(made_up());
  const refusal all[] = {
      {"\"remuda_profile\": 1", "\"remuda_profile\": 0", "version 0"},
      {"\"remuda_profile\": 1", "\"remuda_profile\": 999", "version 999"},
      {"\"remuda_profile\": 1", "\"remuda_profile\": \"1\"", "remuda_profile is not a whole number"},
      {"\"remuda_profile\": 1", "\"remuda_profile\": -1", "remuda_profile is not a whole number"},
      {"\"remuda_profile\": 1", "\"other\": 1", "no profile"},
      {"\"remuda_profile\": 1", "\"remuda_profile\": 1, \"remuda_profile\": 1", "twice"},
      {"\"value\": 62000", "\"value\": 62000, \"value\": 5", "\"value\" stands in it twice"},
      {"\"value\": 62000", "\"value\": 10000001", "settings.spin_ns.value is not a whole number from 0 to 10000000"},
      {"\"value\": 62000", "\"value\": -1", "settings.spin_ns"},
      {"\"value\": 62000", "\"value\": 1e3", "settings.spin_ns"},
      {"\"value\": 62000", "\"value\": 99999999999999999999999999", "settings.spin_ns"},
      {"\"value\": 62000", "\"value\": 1e999", "too large"},
      {"\"value\": 62000", "\"value\": null", "settings.spin_ns"},
      {"\"value\": 62000", "\"worth\": 62000", "settings.spin_ns.value is missing"},
      {"\"value\": 64", "\"value\": 65", "power of two"},
      {"\"value\": 64", "\"value\": 8192", "settings.ring_slots"},
      {"\"value\": 64", "\"value\": 8", "settings.ring_slots"},
      {"\"value\": 7", "\"value\": 1001", "settings.near_looks"},
      {"\"value\": false", "\"value\": 0", "settings.pin.value is neither true nor false"},
      {"\"per_core\"", "\"per_socket\"", "settings.workers.value"},
      {"\"efficient\"", "[]", "settings.wait_policy.value"},
      {"\"l3\"", "\"l4\"", "settings.steal_near.value"},
      {"\"pin\"", "\"pni\"", "settings.pni is not known"},
      {"\"why pin\"", "5", "settings.pin.reason is not a text"},
      {"\"cpus\": 16", "\"cpus\": 4294967296", "machine.cpus"},
      {"\"cores\": 8", "\"kernels\": 8", "machine.cores is missing"},
      {"\"boot_id\"", "\"boot\"", "topology.boot_id is missing"},
      {"<topology/>", "<topology>", "topology.xml is not the text"},
      {"\"xml_hash\": \"", "\"xml_hash\": \"0", "topology.xml is not the text"},
      {"\"xml_hash\"", "\"hash\"", "topology.xml_hash is missing"},
      {"\"made_at\": \"2030-01-02T03:04:05Z\"", "\"made_at\": {}", "made_at is not a text"},
      {"\"machine\"", "\"engine\"", "machine is missing"},
      {"{", "[", "damaged: not JSON at byte"},
  };
  for (const refusal& each : all) {
    const std::string reason = reason_of_refusal(replaced(whole, each.what, each.by));
    EXPECT_TRUE(contains(reason, each.reason)) << each.by << " gave: " << reason;
    EXPECT_EQ(reason.find('\n'), std::string::npos);
  }
  EXPECT_TRUE(contains(reason_of_refusal(whole + whole), "damaged"));
}

TEST(ProfileDamage, OtherTextsAreNoProfiles) {
  for (const char* text : {"", " ", "null", "5", "[]", "{}", "\"text\"", "{\"a\": 1}", "\xef\xbb\xbf", "remuda"}) {
    EXPECT_NE(reason_of_refusal(text), "accepted") << text;
  }
  EXPECT_NE(reason_of_refusal(std::string(100, '\0')), "accepted");
}

TEST(ProfileDamage, DeepNestingDoesNotCostTheStack) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 500'000; ++i) text += open;
    EXPECT_TRUE(contains(reason_of_refusal(text), "nested"));
  }
}

std::string reason_of_refused_file(const std::string& path) {
  try {
    load_profile(path);
  } catch (const error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(ProfileFile, IsRead) {
  const temporary_folder folder;
  EXPECT_EQ(load_profile(folder.write("p.json", to_json(made_up())).native()), made_up());
}

TEST(ProfileFile, WhatIsNoPlainFileIsRefusedAndNeverWaitedFor) {
  const temporary_folder folder;
  const std::string pipe = (folder.path() / "pipe").native();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string path = (folder.path() / "socket").native();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(contains(reason_of_refused_file(folder.path().native()), "folder"));
  EXPECT_TRUE(contains(reason_of_refused_file(pipe), "not a plain file"));
  EXPECT_TRUE(contains(reason_of_refused_file(path), "not a plain file"));
  EXPECT_TRUE(contains(reason_of_refused_file("/dev/zero"), "not a plain file"));
  EXPECT_TRUE(contains(reason_of_refused_file((folder.path() / "missing").native()), "cannot be read"));
  EXPECT_TRUE(contains(reason_of_refused_file(""), "cannot be read"));
  close(fd);
}

TEST(ProfileFile, WithoutTheRightToReadItIsRefused) {
  const temporary_folder folder;
  const std::string path = folder.write("p.json", to_json(made_up())).native();
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  if (geteuid() == 0) {
    EXPECT_EQ(reason_of_refused_file(path), "accepted");  // root may read it all the same
  } else {
    EXPECT_TRUE(contains(reason_of_refused_file(path), "cannot be read: Permission denied"));
  }
}

TEST(ProfileFile, AHugeOneIsNotReadToItsEnd) {
  const temporary_folder folder;
  const std::string path = folder.write("p.json", "").native();
  ASSERT_EQ(truncate(path.c_str(), off_t{1} << 40), 0);  // a hole
  EXPECT_TRUE(contains(reason_of_refused_file(path), "larger than"));
}

TEST(Fingerprint, CountsTheWholeMachine) {
  topo::host facts;
  facts.cpu_model = "model";
  facts.hypervisor = "KVM";
  const topology t = topo::describe_topology("pack:2 [numa] l3:2 core:4 pu:2");
  EXPECT_EQ(topo::fingerprint_of(t, facts), (machine_fingerprint{"model", "KVM", 32, 16, 4, 2, 2}));
}

TEST(Fingerprint, DifferencesAreNamedAndNothingElse) {
  const machine_fingerprint a = made_up().machine;
  EXPECT_EQ(difference(a, a), "");
  machine_fingerprint b = a;
  b.cpus = 17;
  EXPECT_EQ(difference(a, b), "CPUs 16 there, 17 here");
  b.hypervisor = "";
  EXPECT_EQ(difference(a, b), "hypervisor \"KVM\" there, \"\" here, CPUs 16 there, 17 here");
}

TEST(Fingerprint, OfThisMachineIsTheSameUnderAnotherMask) {
  const machine_fingerprint all = topo::fingerprint_of(topo::detect_all(), topo::read_host());
  EXPECT_EQ(this_machine_fingerprint(), all);
  EXPECT_GE(all.cpus, 1U);
  EXPECT_GE(all.cores, 1U);
}

TEST(CachedTopology, HoldsForTheSameBootAndTheSameCpusAlone) {
  const temporary_folder root;
  root.write("proc/sys/kernel/random/boot_id", "one\n");
  root.write("sys/devices/system/cpu/online", "0-3\n");
  root.write("sys/devices/system/node/online", "0\n");
  profile::cached_topology cached = topo::boot_state(root.path().native());
  const auto now = [&] { return topo::boot_state(root.path().native()); };
  EXPECT_FALSE(topo::still_holds(cached, now()));  // without the XML
  cached.xml = "<topology/>";
  EXPECT_TRUE(topo::still_holds(cached, now()));
  root.write("sys/devices/system/cpu/online", "0-2\n");
  EXPECT_FALSE(topo::still_holds(cached, now()));
  root.write("sys/devices/system/cpu/online", "0-3\n");
  root.write("proc/sys/kernel/random/boot_id", "two\n");
  EXPECT_FALSE(topo::still_holds(cached, now()));
  const temporary_folder nothing;
  cached = topo::boot_state(nothing.path().native());
  cached.xml = "<topology/>";
  EXPECT_FALSE(topo::still_holds(cached, cached));
}

TEST(Nearness, RingsOfAWorkerUpToADistance) {
  const topology t = topo::describe_topology("pack:2 [numa] l3:2 l2:2 core:1 pu:2");
  const topo::placement all(t, static_cast<unsigned>(t.cpus.size()));
  using enum nearness;
  EXPECT_EQ(all.ring_count(0), 4U);  // core (and L2), L3, node (and package), machine
  EXPECT_EQ(topo::rings_within(all, 0, core), 1U);
  EXPECT_EQ(topo::rings_within(all, 0, l2), 1U);
  EXPECT_EQ(topo::rings_within(all, 0, l3), 2U);
  EXPECT_EQ(topo::rings_within(all, 0, node), 3U);
  EXPECT_EQ(topo::rings_within(all, 0, package), 3U);
  EXPECT_EQ(topo::rings_within(all, 0, machine), 4U);
}

}  // namespace
}  // namespace remuda
