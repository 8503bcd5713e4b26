// `remuda doctor`: each rule with a made-up host, and the program as scripts see it.

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>

#include "run_remuda.hpp"
#include "runtime/topo/host.hpp"
#include "runtime/topo/whole_machine.hpp"
#include "tests/topo/machines.hpp"
#include "tools/remuda/doctor/rules.hpp"

namespace remuda::tool {
namespace {

using tools_test::contains;
using topo::host;
using numbers = std::vector<unsigned>;

constexpr double no_quota = std::numeric_limits<double>::infinity();
constexpr char healthy_machine[] = "pack:1 [numa(memory=8589934592)] l3:1 core:4 pu:1";
constexpr char two_nodes[] = "pack:2 [numa(memory=8589934592)] l3:1 core:2 pu:1";
constexpr char with_smt[] = "pack:1 [numa] l3:2 core:2 pu:2";

host healthy_host() {
  host h;
  h.kernel = "6.1";
  h.online = {0, 1, 2, 3};
  h.isolated = {2, 3};
  h.governors = {"performance"};
  h.boost = false;
  h.smt_active = false;
  h.deepest_idle_us = 1;
  h.clock_source = "tsc";
  h.transparent_huge_pages = "madvise";
  h.huge_page_defrag = "madvise";
  h.numa_balancing = false;
  h.descriptors = {20'000, 20'000};
  h.processes = {10'000, 10'000};
  h.rtprio = {99, 99};
  h.load_1min = 0.2;
  h.steal_share = 0.0;
  h.cgroups = {{2, "/job", "/sys/fs/cgroup/job", {}, "", 0, 0, 0}, {2, "/", "/sys/fs/cgroup", {}, "", 0, 0, 0}};
  return h;
}

struct setting {
  const char* machine = healthy_machine;
  numbers mask = {};
  double quota = no_quota;
};

std::vector<finding> examine_with(const host* of, const setting& where) {
  const topo::machine_source source = topo::machine_source::described(where.machine);
  const os::cpu_mask mask(where.mask);
  return examine({of, source.whole(mask), source.usable(mask, where.quota)});
}

TEST(Doctor, FindsNothingOnAHealthyHost) {
  const host h = healthy_host();
  for (const finding& each : examine_with(&h, {})) ADD_FAILURE() << each.id << ": " << each.what;
}

TEST(Doctor, AHostThatTellsNothingIsNotBlamedForIt) {
  host silent;
  silent.rtprio = {1, 1};
  for (const finding& each : examine_with(&silent, {})) {
    EXPECT_EQ(each.id, "isolation");
    EXPECT_EQ(each.how_bad, severity::note);
  }
  EXPECT_TRUE(examine_with(nullptr, {}).empty());
}

struct rule_case {
  const char* id;
  severity how_bad;
  std::vector<std::string> told;  // in what, effect or change
  std::function<void(host&)> spoil = [](host&) {};
  setting where = {};
};

void PrintTo(const rule_case& each, std::ostream* out) { *out << each.id; }

const rule_case cases[] = {
    {"throttled",
     severity::hurts,
     {"/sys/fs/cgroup/job in 3 of 10 periods", "2 ms", "echo max > /sys/fs/cgroup/job/cpu.max"},
     [](host& h) {
       h.cgroups[0].quota = 4;
       h.cgroups[0].periods = 10;
       h.cgroups[0].throttled_periods = 3;
       h.cgroups[0].throttled_ns = 6'000'000;
     }},
    {"throttled",
     severity::note,
     {"no quota any more"},
     [](host& h) {
       h.cgroups[1].throttled_periods = 1;
       h.cgroups[1].throttled_ns = 1;
     }},
    {"quota_below_one",
     severity::hurts,
     {"0.5 CPUs", "50 ms of every 100 ms", "echo -1 > /v1/a/cpu.cfs_quota_us"},
     [](host& h) {
       h.cgroups.push_back({1, "/a", "/v1/a", 0.5, "", 0, 0, 0});
     },
     {healthy_machine, {}, 0.5}},
    {"quota",
     severity::may_hurt,
     {"1.5 CPUs for 4", "1 worker, as 2 would overdraw", "cpuset of 2 CPUs"},
     [](host&) {},
     {healthy_machine, {}, 1.5}},
    {"quota",
     severity::may_hurt,
     {"2 CPUs for 4", "echo max > /sys/fs/cgroup/job/cpu.max"},
     [](host& h) { h.cgroups[0].quota = 2; },
     {healthy_machine, {}, 2}},
    {"load", severity::hurts, {"4.5 threads", "on 4 CPUs"}, [](host& h) { h.load_1min = 4.5; }},
    {"load", severity::may_hurt, {"2.0 threads"}, [](host& h) { h.load_1min = 2; }},
    {"stolen_time", severity::hurts, {"3.00 %"}, [](host& h) { h.steal_share = 0.03; }},
    {"stolen_time", severity::may_hurt, {"0.20 %"}, [](host& h) { h.steal_share = 0.002; }},
    {"one_cpu", severity::may_hurt, {"Only CPU 2 may be used"}, [](host&) {}, {healthy_machine, {2}}},
    {"clock_source",
     severity::hurts,
     {"hpet, not tsc", "current_clocksource"},
     [](host& h) { h.clock_source = "hpet"; }},
    {"huge_pages",
     severity::hurts,
     {"a page fault waits", "echo madvise >"},
     [](host& h) { h.transparent_huge_pages = h.huge_page_defrag = "always"; }},
    {"huge_pages", severity::may_hurt, {"given to all memory"}, [](host& h) { h.transparent_huge_pages = "always"; }},
    {"governor",
     severity::hurts,
     {"powersave, schedutil, not performance", "cpupower frequency-set -g performance"},
     [](host& h) {
       h.governors = {"performance", "powersave", "schedutil"};
     }},
    {"deep_idle",
     severity::may_hurt,
     {"need 133 us", "cpupower idle-set -D"},
     [](host& h) { h.deepest_idle_us = 133; }},
    {"node_without_memory", severity::hurts, {"CPUs 6-7", "node 3"}, [](host&) {}, {topo_test::four_nodes}},
    {"numa_balancing",
     severity::may_hurt,
     {"sysctl kernel.numa_balancing=0"},
     [](host& h) { h.numa_balancing = true; },
     {two_nodes}},
    {"smt_sharing", severity::may_hurt, {"8 workers share 4 cores", "taskset -c 0-6:2"}, [](host&) {}, {with_smt}},
    {"partial_cores", severity::may_hurt, {"CPUs 1,4 may be used"}, [](host&) {}, {with_smt, {1, 2, 3, 4}}},
    {"core_kinds",
     severity::may_hurt,
     {"the fastest ones, P, have CPUs 0,2", "taskset -c 0,2"},
     [](host&) {},
     {topo_test::hybrid, {0, 2, 4, 5}}},
    {"descriptors",
     severity::hurts,
     {"16 open descriptors", "process pool of 4 workers", "ulimit -Sn"},
     [](host& h) {
       h.descriptors = {16, 4096};
     }},
    {"descriptors",
     severity::hurts,
     {"limits.d", "LimitNOFILE="},
     [](host& h) {
       h.descriptors = {16, 16};
     }},
    {"processes",
     severity::hurts,
     {"40 processes", "LimitNPROC="},
     [](host& h) {
       h.processes = {40, 40};
     }},
    {"rtprio",
     severity::may_hurt,
     {"LimitRTPRIO=50"},
     [](host& h) {
       h.rtprio = {0, 0};
     }},
    {"memlock",
     severity::may_hurt,
     {"Only 8 MiB", "memlock 65536", "LimitMEMLOCK=67108864"},
     [](host& h) {
       h.memlock = {8U << 20, 8U << 20};
     }},
    {"hypervisor", severity::note, {"virtual machine (KVM)"}, [](host& h) { h.hypervisor = "KVM"; }},
    {"isolation", severity::note, {"isolcpus="}, [](host& h) { h.isolated.clear(); }},
    {"partial_caches", severity::note, {"CPUs 0-1 share an L3"}, [](host&) {}, {with_smt, {0, 1, 4, 5, 6, 7}}},
    {"boost", severity::note, {"no_turbo"}, [](host& h) { h.boost = true; }},
    {"mask", severity::note, {"leaves out 1 CPU of 4: 3"}, [](host&) {}, {healthy_machine, {0, 1, 2}}},
    {"offline_cpus", severity::note, {"CPU 8 is offline", "cpu8/online"}, [](host&) {}, {topo_test::four_nodes}},
};

class Rule : public testing::TestWithParam<rule_case> {};

TEST_P(Rule, IsFoundWithWhatItIsItsEffectAndAChange) {
  host h = healthy_host();
  GetParam().spoil(h);
  const std::vector<finding> all = examine_with(&h, GetParam().where);
  const auto found = std::find_if(all.begin(), all.end(), [](const finding& f) { return f.id == GetParam().id; });
  ASSERT_NE(found, all.end());
  EXPECT_EQ(found->how_bad, GetParam().how_bad);
  for (const std::string& text : {found->what, found->effect, found->change}) {
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  const std::string told = found->what + '\n' + found->effect + '\n' + found->change;
  for (const std::string& part : GetParam().told) EXPECT_TRUE(contains(told, part)) << part << " in\n" << told;
}

TEST_P(Rule, ComesFromNothingElse) {
  // A rule that looks at the host is silent on the healthy one, wherever that is.
  const host h = healthy_host();
  host spoiled = h;
  GetParam().spoil(spoiled);
  const auto ids = [](const std::vector<finding>& all) {
    std::set<std::string> names;
    for (const finding& each : all) names.insert(each.id);
    return names;
  };
  std::set<std::string> expected = ids(examine_with(&h, GetParam().where));
  expected.insert(GetParam().id);
  EXPECT_EQ(ids(examine_with(&spoiled, GetParam().where)), expected);
}

INSTANTIATE_TEST_SUITE_P(All, Rule, testing::ValuesIn(cases), [](const auto& instance) {
  return std::string(instance.param.id) + "_" + std::to_string(instance.index);
});

TEST(Doctor, EveryRuleHasACase) {
  std::set<std::string> tested{"cpuset"};  // below: no described machine has one
  for (const rule_case& each : cases) tested.insert(each.id);
  const std::vector<std::string> rules = rule_ids();
  EXPECT_EQ(tested, std::set<std::string>(rules.begin(), rules.end()));
}

TEST(Doctor, ACpusetIsToldWithTheGroupThatSetsIt) {
  host h = healthy_host();
  h.cgroups[1].cpuset = "0-1";
  const topo::machine_source source = topo::machine_source::described(healthy_machine);
  topo::whole_machine whole = source.whole({});
  whole.threads[2].use = whole.threads[3].use = topo::cpu_use::not_in_cpuset;
  const std::vector<finding> all = examine({&h, whole, source.usable(os::cpu_mask({0, 1}))});
  const auto found = std::find_if(all.begin(), all.end(), [](const finding& f) { return f.id == "cpuset"; });
  ASSERT_NE(found, all.end());
  EXPECT_TRUE(contains(found->what, "2 CPUs of 4: 2-3")) << found->what;
  EXPECT_TRUE(contains(found->change, "/sys/fs/cgroup/cpuset.cpus (now 0-1)")) << found->change;
}

TEST(Doctor, LimitsDoNotBindWhoMayPassThem) {
  host h = healthy_host();
  h.rtprio = h.memlock = h.processes = {0, 0};
  h.capabilities = (std::uint64_t{1} << 14) | (std::uint64_t{1} << 23) | (std::uint64_t{1} << 24);
  EXPECT_TRUE(examine_with(&h, {}).empty());
}

TEST(Doctor, TheWorstComesFirst) {
  host h = healthy_host();
  h.hypervisor = "KVM";
  h.governors = {"powersave"};
  h.load_1min = 100;
  h.numa_balancing = true;
  std::vector<std::string> order;
  for (const finding& each : examine_with(&h, {two_nodes})) order.push_back(each.id);
  EXPECT_EQ(order, (std::vector<std::string>{"load", "governor", "numa_balancing", "hypervisor"}));
}

// --- the program

using nlohmann::json;
using tools_test::finished;

TEST(DoctorProgram, TellsScriptsByItsStatusWhetherSomethingHurts) {
  EXPECT_EQ(tools_test::run_remuda({"doctor", "--topology", healthy_machine}).status, 0);
  EXPECT_EQ(tools_test::run_remuda({"doctor", "--topology", healthy_machine, "--cpus", "0-2"}).status, 0);  // a note
  EXPECT_EQ(tools_test::run_remuda({"doctor", "--topology", healthy_machine, "--quota", "0.5"}).status, 10);
  EXPECT_EQ(tools_test::run_remuda({"doctor", "--topology", with_smt}).status, 10);
  EXPECT_EQ(tools_test::run_remuda({"doctor", "--topology", "nonsense"}).status, 2);
}

TEST(DoctorProgram, TextAndJsonTellTheSame) {
  const std::vector<std::string> options{"doctor", "--topology", topo_test::four_nodes, "--quota", "1.5"};
  const finished text = tools_test::run_remuda(options);
  std::vector<std::string> with_json = options;
  with_json.emplace_back("--json");
  const finished f = tools_test::run_remuda(with_json);
  EXPECT_EQ(f.status, 10);
  EXPECT_EQ(f.err, "");
  const json told = json::parse(f.out);
  EXPECT_EQ(told.at("workers"), 1);
  ASSERT_FALSE(told.at("findings").empty());
  EXPECT_EQ(told.at("findings").at(0).at("id"), "node_without_memory");
  EXPECT_TRUE(contains(text.out, "A pool has 1 worker here by default: 8 CPUs")) << text.out;
  for (const json& each : told.at("findings")) {
    for (const char* part : {"what", "effect", "change"}) {
      EXPECT_TRUE(contains(text.out, each.at(part).get<std::string>())) << each;
    }
  }
}

TEST(DoctorProgram, LooksAtThisHost) {
  const finished f = tools_test::run_remuda({"doctor", "--json"});
  EXPECT_TRUE(f.status == 0 || f.status == 10) << f.err;
  const json told = json::parse(f.out);
  EXPECT_EQ(told.at("described"), false);
  bool hurts = false;
  for (const json& each : told.at("findings")) hurts = hurts || each.at("severity") != "note";
  EXPECT_EQ(f.status, hurts ? 10 : 0);
}

}  // namespace
}  // namespace remuda::tool
