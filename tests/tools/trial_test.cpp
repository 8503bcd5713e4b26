// Descriptions of machines are tried out in a child process first, as on some damaged XML hwloc crashes or never ends.

#include "tools/remuda/trial.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "run_remuda.hpp"
#include "tests/topo/machines.hpp"

namespace {

using namespace tools_test;
using nlohmann::json;

// --- damaged XML

using texts = std::vector<std::string>;

// Where the part is: of many places the first, the middle and the last one.
std::vector<std::size_t> some_places(const std::string& xml, const std::string& part) {
  std::vector<std::size_t> all;
  for (std::size_t at = 0; (at = xml.find(part, at)) != std::string::npos; at += part.size()) all.push_back(at);
  if (all.size() > 3) all = {all.front(), all[all.size() / 2], all.back()};
  return all;
}

// The XML with another value for an attribute, in one place each.
texts with_value(const std::string& xml, const std::string& attribute, const std::string& value) {
  const std::string start = ' ' + attribute + "=\"";
  texts changed;
  for (const std::size_t at : some_places(xml, start)) {
    const std::size_t from = at + start.size();
    changed.push_back(std::string(xml).replace(from, xml.find('"', from) - from, value));
  }
  return changed;
}

// Never a crash, and never without end.
void expect_shown_or_refused(const texts& damaged) {
  const temporary_folder folder;
  ASSERT_FALSE(damaged.empty());
  for (const std::string& xml : damaged) {
    const std::string file = folder.write("damaged.xml", xml).native();
    const finished f = run_remuda({"topo", "--topology", file, "--json"}, [] {
      struct rlimit limit {};
      ::getrlimit(RLIMIT_CPU, &limit);
      limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, 5);  // seconds: the trial has this limit as well
      ::setrlimit(RLIMIT_CPU, &limit);
    });
    EXPECT_TRUE(f.status == 0 || f.status == 2) << f.status << ' ' << f.err << xml;
    if (f.status == 0) {
      EXPECT_TRUE(json::accept(f.out)) << f.out << xml;
    }
    if (f.status == 2) {
      EXPECT_EQ(f.out, "") << xml;
      EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err << xml;
    }
  }
}

const std::string machines_as_xml[] = {topo_test::hybrid, topo_test::four_nodes};

TEST(DamagedXml, CutShort) {
  texts damaged;
  for (const std::string& xml : machines_as_xml) {
    for (std::size_t part = 1; part < 7; ++part) damaged.push_back(xml.substr(0, xml.size() * part / 7));
  }
  expect_shown_or_refused(damaged);
}

TEST(DamagedXml, HugeNumbers) {
  texts damaged;
  for (const std::string& xml : machines_as_xml) {
    for (const char* attribute : {"os_index", "depth", "cache_type", "length", "nbobjs", "kind", "forced_efficiency"}) {
      const texts changed = with_value(xml, attribute, "4294967295");
      damaged.insert(damaged.end(), changed.begin(), changed.end());
    }
  }
  expect_shown_or_refused(damaged);
}

TEST(DamagedXml, SetsThatDoNotFit) {
  texts damaged;
  for (const std::string& xml : machines_as_xml) {
    for (const char* attribute : {"cpuset", "complete_cpuset", "nodeset"}) {
      const texts changed = with_value(xml, attribute, "0x0");
      damaged.insert(damaged.end(), changed.begin(), changed.end());
    }
    damaged.push_back(with_value(xml, "cpuset", "0xf...f").back());
  }
  expect_shown_or_refused(damaged);
}

TEST(DamagedXml, ObjectsInTheWrongPlace) {
  texts damaged;
  for (const std::string& xml : machines_as_xml) {
    const std::string end = "</object>";
    for (const std::size_t at : some_places(xml, end)) damaged.push_back(std::string(xml).erase(at, end.size()));
    for (const char* type : {"PU", "Machine", "NUMANode", "Bridge"}) {
      damaged.push_back(with_value(xml, "type", type).at(1));
    }
  }
  expect_shown_or_refused(damaged);
}

// --- trials in a child

using remuda::tool::trial_end;
using remuda::tool::try_out;

void expect_all_ends() {
  EXPECT_EQ(try_out([] { return true; }), trial_end::well);
  EXPECT_EQ(try_out([] { return false; }), trial_end::refused);
  EXPECT_EQ(try_out([]() -> bool { throw std::runtime_error("not so"); }), trial_end::refused);
  EXPECT_EQ(try_out([] { return ::raise(SIGSEGV) == 0; }), trial_end::crashed);
  EXPECT_EQ(try_out([]() -> bool { std::abort(); }), trial_end::crashed);
  EXPECT_EQ(try_out([]() -> bool { ::_exit(0); }), trial_end::crashed);
  const pid_t left = ::waitpid(-1, nullptr, WNOHANG);
  const int why = errno;
  EXPECT_EQ(left, -1);
  EXPECT_EQ(why, ECHILD);
}

TEST(Trial, TellsHowItEndedAndLeavesNoChild) { expect_all_ends(); }

TEST(Trial, AlsoWhereChildrenAreIgnored) {
  std::signal(SIGCHLD, SIG_IGN);
  expect_all_ends();
  const bool still_ignored = std::signal(SIGCHLD, SIG_DFL) == SIG_IGN;
  EXPECT_TRUE(still_ignored);
}

TEST(Trial, EndsWhatRunsOrWaitsForTooLong) {
  remuda::tool::trial_limits limits;
  limits.cpu_seconds = 1;
  const auto run_on = []() -> bool {
    for (volatile unsigned n = 0;;) n = n + 1;
  };
  EXPECT_EQ(try_out(run_on, limits), trial_end::too_slow);
  limits = {};
  limits.seconds = 1;
  const auto wait_on = []() -> bool {
    for (;;) ::pause();
  };
  EXPECT_EQ(try_out(wait_on, limits), trial_end::too_slow);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
