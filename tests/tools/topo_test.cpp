// `remuda topo`, and the options that describe another machine, as users and scripts see them.

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "run_remuda.hpp"
#include "runtime/topo/cpu_list.hpp"
#include "tests/topo/machines.hpp"
#include "tools/remuda/words.hpp"

namespace {

using namespace tools_test;
using nlohmann::json;
using numbers = std::vector<unsigned>;

numbers parse(const json& list) { return remuda::topo::parse_cpu_list(list.get<std::string>()).value(); }

json topo_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"topo", "--json"});
  const finished f = run_remuda(arguments);
  EXPECT_EQ(f.status, 0) << f.err;
  EXPECT_EQ(f.err, "");
  return json::parse(f.out);
}

// --- any machine

struct machine_case {
  const char* name;
  std::vector<std::string> options;
  unsigned cpus;  // of the machine, those that are not allowed included
  unsigned workers;
  std::vector<std::string> lines;  // parts of the text
};

const machine_case machines[] = {
    {"one_core",
     {"--topology", "core:1 pu:1"},
     1,
     1,
     {"1 CPU, 1 core", "CPU 0 = worker 0", "worker 0 on CPU 0: nobody"}},
    {"two_packages_of_64_smt",
     {"--topology", "pack:2 [numa] l3:1 l2:64 core:1 pu:2"},
     256,
     256,
     {"256 CPUs, 128 cores, 2 packages, 2 NUMA nodes", "packages 0-1", "cores 0-127 (64 in each)",
      "threads 1: CPUs 0-254:2 = workers 0-127", "threads 2: CPUs 1-255:2 = workers 128-255",
      "workers 0-255 each: 1 (same core), then 126 (same L3), then 128 (remote at distance 20)"}},
    {"four_nodes_one_without_memory",
     {"--topology", topo_test::four_nodes},
     9,
     8,
     {"NUMA node 2   8 GiB", "NUMA node 3   no memory", "16   10   22   16", "offline                 8",
      "worker 0 on CPU 0: 1 (same node), then 2-5 (remote at distance 16), then 6-7 (remote at distance 22)"}},
    {"eight_nodes",
     {"--topology", "pack:2 numa:4 l3:1 core:4 pu:2"},
     64,
     64,
     {"8 NUMA nodes", "NUMA nodes 0-7 (4 in each)", "(same package at distance 20)"}},
    {"l3_groups",
     {"--topology", "pack:2 [numa] l3:8(size=33554432) l2:8 core:1 pu:2"},
     256,
     256,
     {"L3 0-15 (8 in each)   32 MiB each", "1 (same core), then 14 (same L3), then 112 (same node)"}},
    {"hybrid",
     {"--topology", topo_test::hybrid},
     8,
     8,
     {"8 CPUs, 6 cores (CPUs by kind of core: 4 P, 4 E)", "core 0   P   CPU 0 = worker 0   CPU 1 = worker 6",
      "core 2   E   CPU 4 = worker"}},
    {"mask_with_holes",
     {"--topology", "pack:2 [numa] l3:2 core:4 pu:2", "--cpus", "1-3,9,12,20,22-23,31"},
     32,
     9,
     {"CPU 0 [not in the mask]", "not in the mask         0,4-8,10-11,13-19,21,24-30"}},
    {"quota_half", {"--topology", "core:8 pu:1", "--quota", "0.5"}, 8, 1, {"quota of 0.5 CPUs is less than one"}},
    {"quota_one_and_a_half",
     {"--topology", "core:8 pu:1", "--quota", "1.5"},
     8,
     1,
     {"8 CPUs, all of the machine, but a quota of 1.5 CPUs, rounded down", "CPU 1 (no worker)"}},
    {"quota_64", {"--topology", "core:8 pu:1", "--quota", "64"}, 8, 8, {"the quota of 64 CPUs allows them all"}},
    {"more_workers_than_cpus", {"--topology", "core:2 pu:1", "--workers", "5"}, 2, 5, {"CPU 0 = workers 0,2,4"}},
};

class AnyMachine : public testing::TestWithParam<machine_case> {};

TEST_P(AnyMachine, EveryCpuHasItsPlaceAndEveryWorkerAsksAllOthers) {
  const machine_case& machine = GetParam();
  const json told = topo_json(machine.options);
  EXPECT_EQ(told.at("described"), true);
  EXPECT_TRUE(told.at("host").is_null());
  const json& cpus = told.at("machine").at("cpus");
  EXPECT_EQ(cpus.size(), machine.cpus);
  ASSERT_EQ(told.at("workers").size(), machine.workers);

  std::set<unsigned> allowed;
  std::vector<unsigned> cpu_of(machine.workers, std::numeric_limits<unsigned>::max());
  for (const json& each : cpus) {
    if (each.at("use") == "allowed") allowed.insert(each.at("cpu").get<unsigned>());
    for (const unsigned worker : parse(each.at("workers"))) cpu_of.at(worker) = each.at("cpu").get<unsigned>();
  }
  EXPECT_EQ(numbers(allowed.begin(), allowed.end()), parse(told.at("usable").at("cpus")));
  for (const json& each : told.at("workers")) {
    const auto worker = each.at("worker").get<unsigned>();
    EXPECT_EQ(each.at("cpu"), cpu_of.at(worker));
    EXPECT_EQ(allowed.count(cpu_of[worker]), 1U);
    numbers all{worker};
    for (const json& ring : each.at("rings")) {
      const numbers members = parse(ring.at("workers"));
      all.insert(all.end(), members.begin(), members.end());
    }
    std::sort(all.begin(), all.end());
    numbers expected(machine.workers);
    for (unsigned w = 0; w < machine.workers; ++w) expected[w] = w;
    ASSERT_EQ(all, expected) << worker;
  }
}

TEST_P(AnyMachine, TextIsReadable) {
  std::vector<std::string> arguments = GetParam().options;
  arguments.insert(arguments.begin(), "topo");
  const finished f = run_remuda(arguments);
  EXPECT_EQ(f.status, 0);
  EXPECT_EQ(f.err, "");
  for (const std::string& part : GetParam().lines) EXPECT_TRUE(contains(f.out, part)) << part << "\n" << f.out;
  EXPECT_LT(std::count(f.out.begin(), f.out.end(), '\n'), 60) << f.out;
  std::istringstream lines(f.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LT(line.size(), 200U) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << line;
  }
}

TEST_P(AnyMachine, DrawingHasABoxForEveryCpuWithinThePage) {
  const temporary_folder folder;
  const std::string file = (folder.path() / "machine.svg").native();
  std::vector<std::string> arguments = GetParam().options;
  arguments.insert(arguments.begin(), {"topo", "--svg", file});
  ASSERT_EQ(run_remuda(arguments).status, 0);
  const std::string svg = read_file(file);
  EXPECT_TRUE(svg.starts_with("<svg xmlns=")) << svg.substr(0, 80);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  for (const char* from_elsewhere : {"href", "url(", "<script", "@import"}) EXPECT_FALSE(contains(svg, from_elsewhere));

  const auto number_after = [&](const char* name, std::size_t from) {
    return std::stod(svg.substr(svg.find(name, from) + std::string(name).size()));
  };
  const double width = number_after(" width=\"", 0), height = number_after(" height=\"", 0);
  for (std::size_t at = svg.find("<rect x="); at != std::string::npos; at = svg.find("<rect x=", at + 1)) {
    EXPECT_LE(number_after(" x=\"", at) + number_after(" width=\"", at), width);
    EXPECT_LE(number_after(" y=\"", at) + number_after(" height=\"", at), height);
  }
  const json told = topo_json(GetParam().options);
  for (const json& each : told.at("machine").at("cpus")) {
    const std::string title = "<g><title>CPU " + std::to_string(each.at("cpu").get<unsigned>());
    const std::size_t found = svg.find(title);
    if (each.at("use") == "offline") continue;
    ASSERT_NE(found, std::string::npos) << title;
    const std::string rest = svg.substr(found, svg.find("</title>", found) - found);
    EXPECT_EQ(contains(rest, "worker"), each.at("workers") != "") << rest;
    EXPECT_EQ(contains(rest, "not in the mask"), each.at("use") == "not in the mask") << rest;
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, AnyMachine, testing::ValuesIn(machines),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Topo, WholeTextOfASmallMachine) {
  const finished f =
      run_remuda({"topo", "--topology", "pack:2 [numa(memory=2147483648)] l3:1(size=1048576) core:2 pu:2", "--cpus",
                  "0-2,5", "--quota", "2.5", "--workers", "3"});
  EXPECT_EQ(f.out, R"(A described machine, of which only the topology is known
8 CPUs, 4 cores, 2 packages, 2 NUMA nodes, 4 GiB

package 0
  NUMA node 0   2 GiB
    L3 0   1 MiB
      core 0   CPU 0 = worker 0   CPU 1 (no worker)
      core 1   CPU 2 = worker 1   CPU 3 [not in the mask]
package 1
  NUMA node 1   2 GiB
    L3 1   1 MiB
      core 2   CPU 4 [not in the mask]   CPU 5 = worker 2
      core 3   CPU 6 [not in the mask]   CPU 7 [not in the mask]

NUMA distances
  not told; nodes of one package count as nearer

May be used
  CPUs                    0-2,5 (4 of 8, as --cpus says)
  not in the mask         3-4,6-7
  quota                   2.5 CPUs, as --quota says

Workers: 3, as --workers says; a pool has 2 by default
  2 by default: 4 CPUs in the mask, but a quota of 2.5 CPUs, rounded down so that the kernel never stops a worker in mid-period
Steal rings: whom a worker without tasks asks, the nearest first
  worker 0 on CPU 0: 1 (same L3), then 2 (remote at distance 20)
  worker 1 on CPU 2: 0 (same L3), then 2 (remote at distance 20)
  worker 2 on CPU 5: 0-1 (remote at distance 20)
)");
}

// --- this machine

TEST(Topo, ThisMachineWithItsHost) {
  const json told = topo_json({});
  EXPECT_EQ(told.at("described"), false);
  EXPECT_GT(told.at("host").at("memory_bytes").get<double>(), 0);
  EXPECT_TRUE(told.at("host").at("limits").at("memlock").contains("soft"));
  EXPECT_GE(told.at("usable").at("workers").get<unsigned>(), 1U);
  const finished f = run_remuda({"topo"});
  EXPECT_EQ(f.status, 0);
  for (const char* row : {"isolated", "nohz_full", "governor", "boost", "hypervisor", "huge pages", "limit memlock",
                          "limit rtprio", "CPUs", "quota"}) {
    EXPECT_TRUE(contains(f.out, std::string("\n  ") + row)) << row;
  }
}

TEST(Topo, AMaskOfTasksetIsShownNotHidden) {
  const json before = topo_json({});
  const numbers all = parse(before.at("usable").at("cpus"));
  const unsigned last = all.back();
  const finished f = run_remuda({"topo", "--json"}, [last] {
    cpu_set_t* const mask = CPU_ALLOC(8192);
    CPU_ZERO_S(CPU_ALLOC_SIZE(8192), mask);
    CPU_SET_S(last, CPU_ALLOC_SIZE(8192), mask);
    ::sched_setaffinity(0, CPU_ALLOC_SIZE(8192), mask);
  });
  const json told = json::parse(f.out);
  EXPECT_EQ(parse(told.at("usable").at("cpus")), numbers{last});
  EXPECT_EQ(told.at("machine").at("cpus").size(), before.at("machine").at("cpus").size());
  for (const json& each : told.at("machine").at("cpus")) {
    if (std::find(all.begin(), all.end(), each.at("cpu").get<unsigned>()) == all.end()) continue;
    EXPECT_EQ(each.at("use"), each.at("cpu") == last ? "allowed" : "not in the mask");
  }
}

TEST(Topo, ThisMachineAsIfLessWereAllowed) {
  const unsigned first = parse(topo_json({}).at("usable").at("cpus")).front();
  const json told = topo_json({"--cpus", std::to_string(first), "--quota", "0.25"});
  EXPECT_EQ(parse(told.at("usable").at("cpus")), numbers{first});
  EXPECT_EQ(told.at("usable").at("quota"), 0.25);
  EXPECT_EQ(told.at("usable").at("workers"), 1);
}

// --- files

TEST(Topo, AFileHoldsXmlOrADescription) {
  const temporary_folder folder;
  const std::string xml = folder.write("hybrid.xml", topo_test::hybrid).native();
  const std::string plain = folder.write("plain", "\n pack:2 core:3 pu:1 \n").native();
  EXPECT_EQ(topo_json({"--topology", xml}).at("machine").at("kinds").size(), 2U);
  EXPECT_EQ(topo_json({"--topology", plain}).at("machine").at("cpus").size(), 6U);
}

// --- what makes no sense

struct bad_case {
  std::vector<std::string> options;
  const char* told;  // part of the message
};

TEST(Topo, BadOptionsAreToldAndDoNotCrash) {
  const temporary_folder folder;
  std::string bytes_without_sense(5000, 'x');
  bytes_without_sense.replace(0, 5, "\0\xff\x01<>", 5);
  const std::string garbage = folder.write("garbage", bytes_without_sense).native();
  const std::string broken = folder.write("broken.xml", std::string(topo_test::hybrid).substr(0, 900)).native();
  const std::string empty = folder.write("empty", "").native();
  const bad_case cases[] = {
      {{"--topology", "nonsense"}, "neither a file here nor a description"},
      {{"--topology", ""}, "neither a file here nor a description"},
      {{"--topology", "pack:100000 core:100000"}, "at most 4096 CPUs"},
      {{"--topology", "pack:2\ncore:x"}, "neither"},
      {{"--topology", std::string(100'000, 'p')}, "neither"},
      {{"--topology", "/no/such/file"}, "cannot read /no/such/file: No such file"},
      {{"--topology", "missing.xml"}, "cannot read missing.xml"},
      {{"--topology", folder.path().native()}, "Is a directory"},
      {{"--topology", "/dev/zero"}, "more than 64 MiB"},
      {{"--topology", garbage}, "neither"},
      {{"--topology", empty}, "neither"},
      {{"--topology", broken}, "XML"},
      {{"--topology", "<topology/>"}, "XML"},
      {{"--cpus", ""}, "the list is empty"},
      {{"--cpus", " "}, "the list is empty"},
      {{"--cpus", "1-"}, "no list of CPUs"},
      {{"--cpus", "zero"}, "no list of CPUs"},
      {{"--cpus", "0-99999999999"}, "no list of CPUs"},
      {{"--cpus", "65535"}, "the machine has no CPU 65535"},
      {{"--topology", "core:4 pu:1", "--cpus", "2-5"}, "the machine has no CPU 4-5; it has 0-3"},
      {{"--quota", "0"}, "--quota"},
      {{"--quota", "-1"}, "--quota"},
      {{"--quota", "nan"}, "--quota"},
      {{"--quota", "1.5x"}, "--quota"},
      {{"--quota", ""}, "--quota"},
      {{"--workers", "0"}, "--workers"},
      {{"--workers", "-3"}, "--workers"},
      {{"--workers", "4097"}, "--workers"},
      {{"--workers", "many"}, "--workers"},
      {{"surplus"}, "surplus"},
  };
  for (const bad_case& each : cases) {
    std::vector<std::string> arguments = each.options;
    arguments.insert(arguments.begin(), "topo");
    const finished f = run_remuda(arguments);
    EXPECT_EQ(f.status, 2) << each.told;
    EXPECT_EQ(f.out, "");
    EXPECT_TRUE(contains(f.err, each.told)) << each.told << " in " << f.err;
    EXPECT_LT(f.err.size(), 600U) << f.err.substr(0, 600);
  }
}

TEST(Topo, WhatCannotBeWrittenIsTold) {
  finished f = run_remuda({"topo", "--topology", "core:1 pu:1", "--svg", "/no/such/folder/x.svg"});
  EXPECT_EQ(f.status, 1);
  EXPECT_TRUE(contains(f.err, "cannot write /no/such/folder/x.svg: No such file")) << f.err;
  f = run_remuda({"topo", "--topology", "core:1 pu:1", "--svg", "/dev/full"});
  EXPECT_EQ(f.status, 1);
  EXPECT_TRUE(contains(f.err, "No space left")) << f.err;
  for (const char* verb : {"topo", "doctor"}) {
    f = run_remuda({verb, "--topology", "core:1 pu:1"},
                   [] { ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO); });
    EXPECT_EQ(f.status, 1) << verb;
    EXPECT_TRUE(contains(f.err, "cannot write")) << f.err;
  }
}

TEST(Topo, QuotaOfInfinityIsNone) {
  EXPECT_TRUE(topo_json({"--topology", "core:4 pu:1", "--quota", "inf"}).at("usable").at("quota").is_null());
}

// --- words

TEST(Words, ListsOfEverySecondNumberAreShort) {
  using remuda::tool::list;
  EXPECT_EQ(list({}), "");
  EXPECT_EQ(list({3}), "3");
  EXPECT_EQ(list({0, 1, 2, 8}), "0-2,8");
  EXPECT_EQ(list({0, 2, 4}), "0,2,4");
  EXPECT_EQ(list({0, 2, 4, 6, 7, 8}), "0-6:2,7-8");
  EXPECT_EQ(list({1, 5, 9, 13, 14}), "1-13:4,14");
}

TEST(Words, BytesHaveUnits) {
  using remuda::tool::bytes;
  EXPECT_EQ(bytes(0), "0 B");
  EXPECT_EQ(bytes(1023), "1023 B");
  EXPECT_EQ(bytes(1536), "1.5 KiB");
  EXPECT_EQ(bytes(std::uint64_t{8} << 30), "8 GiB");
  EXPECT_EQ(bytes(std::numeric_limits<std::uint64_t>::max()), "16384 PiB");
}

}  // namespace
