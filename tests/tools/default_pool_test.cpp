// How many workers a pool has by default, as the verbs tell it.
#include "tools/remuda/default_pool.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "remuda/profile.hpp"
#include "tests/tools/run_program.hpp"

namespace remuda::tool {
namespace {

/// Two cores of two threads, which is this machine or one that is described.
chosen_machine two_cores(bool is_this_machine) {
  topo::machine_source source = topo::machine_source::described("core:2 pu:2");
  topo::whole_machine whole = source.whole({});
  topology usable = source.usable({});
  return {std::move(whole), std::move(usable), std::move(source), is_this_machine, false, false};
}

class DefaultPool : public testing::Test {
 protected:
  std::string use(worker_rule rule, const machine_fingerprint& made_for = this_machine_fingerprint()) {
    profile p;
    p.machine = made_for;
    p.settings.workers = rule;
    const std::string path = folder_.write("profile.json", to_json(p)).native();
    setenv("REMUDA_PROFILE", path.c_str(), 1);
    return path;
  }
  void TearDown() override { setenv("REMUDA_PROFILE", "", 1); }

 private:
  tools_test::temporary_folder folder_;
};

TEST_F(DefaultPool, WithoutAProfileHasAWorkerForEachUsableCpu) {
  setenv("REMUDA_PROFILE", "", 1);
  const default_pool pool = default_pool_on(two_cores(true));
  EXPECT_EQ(pool.workers, 4U);
  EXPECT_EQ(pool.why, "4 CPUs in the mask, no quota");
}

TEST_F(DefaultPool, IsAsTheProfileSaysThatPoolsTake) {
  const std::string path = use(worker_rule::per_core);
  const default_pool pool = default_pool_on(two_cores(true));
  EXPECT_EQ(pool.workers, 2U);
  EXPECT_NE(pool.why.find("the profile " + path + " wants one for each core"), std::string::npos) << pool.why;
  use(worker_rule::per_cpu);
  EXPECT_EQ(default_pool_on(two_cores(true)).workers, 4U);
}

TEST_F(DefaultPool, OfAnotherMachinesProfileTakesNothing) {
  machine_fingerprint other = this_machine_fingerprint();
  other.cpus += 1;
  use(worker_rule::per_core, other);
  EXPECT_EQ(default_pool_on(two_cores(true)).workers, 4U);
}

TEST_F(DefaultPool, OfADescribedMachineKnowsNoProfile) {
  use(worker_rule::per_core);
  const default_pool pool = default_pool_on(two_cores(false));
  EXPECT_EQ(pool.workers, 4U);
  EXPECT_EQ(pool.why, "4 CPUs, all of the machine, no quota");
}

}  // namespace
}  // namespace remuda::tool
