// The initializer: what each worker does before its first task, and what its failure means for the pool.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/process_pool.hpp"

namespace {

using remuda::remote_call;
using remuda::test::children_of;
using remuda::test::descriptors;
using remuda::test::eventually;
using remuda::test::is_there;
using remuda::test::processes_of;
using remuda::test::shared_count;
using remuda::test::thread_ids;
using remuda::test::with_workers;

/// An exception of the program's own that travels as itself.
struct no_licence : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[maybe_unused]] const bool registered = (remuda::register_exception<no_licence>(), true);

/// One that does not.
struct unheard_of : std::runtime_error {
  using std::runtime_error::runtime_error;
};

long prepared = 0;  // of each worker
pid_t prepared_in = -1;

void prepare(const std::string& count) {
  shared_count::add(count);
  ++prepared;
  prepared_in = getpid();
}

/// 1 in a worker whose initializer has run there, once.
long prepared_here() { return prepared_in == getpid() ? prepared : -1; }

remuda::process_pool_options with_initializer(unsigned workers, remote_call initializer) {
  auto options = with_workers(workers);
  options.initializer = std::move(initializer);
  return options;
}

TEST(Promise27Initializer, RunsOnceInEachWorkerBeforeAnyTask) {
  const shared_count runs;
  remuda::process_pool pool{with_initializer(3, remote_call(prepare, runs.path()))};
  EXPECT_EQ(runs.value(), 3) << "the constructor has to wait for it";
  EXPECT_EQ(prepared, 0) << "it ran in this process";
  std::vector<remuda::future<long>> all;
  for (int i = 0; i < 200; ++i) all.push_back(pool.submit(prepared_here));
  for (const auto& f : all) EXPECT_EQ(f.get(), 1);
  EXPECT_EQ(runs.value(), 3);
}

TEST(Promise27Initializer, RunsInReplacementsBeforeTheTasksThatWaitForThem) {
  const shared_count runs;
  remuda::process_pool pool{with_initializer(1, remote_call(prepare, runs.path()))};
  for (int round = 1; round <= 5; ++round) {
    const auto dead = pool.submit([] { std::abort(); });
    std::vector<remuda::future<long>> behind;
    for (int i = 0; i < 20; ++i) behind.push_back(pool.submit(prepared_here));
    EXPECT_EQ(remuda::test::death_of(dead).signal(), SIGABRT);
    for (const auto& f : behind) EXPECT_EQ(f.get(), 1);
    EXPECT_EQ(runs.value(), 1 + round);
  }
}

TEST(Promise27Initializer, RunsInWorkersThatAreReplacedByPlanAndIsNoTaskOfTheirs) {
  const shared_count runs;
  auto options = with_initializer(1, remote_call(prepare, runs.path()));
  options.max_tasks_per_worker = 2;
  remuda::process_pool pool{options};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(pool.submit(prepared_here).get(), 1);
  EXPECT_GE(runs.value(), 3);
  EXPECT_LE(runs.value(), 4);  // the one after the last task may be there already
}

TEST(Promise27Initializer, RunsInWorkersOfAForkedZygote) {
  const shared_count runs;
  auto options = with_initializer(2, remote_call(prepare, runs.path()));
  options.start = remuda::start_method::fork;
  remuda::process_pool pool{options};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(prepared_here).get(), 1);
  EXPECT_EQ(runs.value(), 2);
}

std::map<std::string, std::vector<int>> table;

TEST(Promise27Initializer, ItsArgumentsTravel) {
  std::map<std::string, std::vector<int>> given;
  // far more than a slot holds
  for (int i = 0; i < 100; ++i) given["key " + std::to_string(i)] = std::vector<int>(1000, i);
  int factor = 3;
  remuda::process_pool pool{with_initializer(2, remote_call(
                                                    [factor](const std::map<std::string, std::vector<int>>& t) {
                                                      table = t;
                                                      for (auto& [key, values] : table) values.at(0) *= factor;
                                                    },
                                                    given))};
  given["key 7"].at(0) = 21;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(pool.submit([](const std::string& key) { return table.at(key); }, std::string("key 7")).get(),
              given["key 7"]);
    EXPECT_EQ(pool.submit([] { return table.size(); }).get(), 100U);
    remuda::test::death_of(pool.submit([] { std::abort(); }));  // and once more in a replacement
  }
  EXPECT_TRUE(table.empty());
}

TEST(Promise27Initializer, WhatItReturnsIsOfNoMeaning) {
  remuda::process_pool pool{with_initializer(1, remote_call([] { return std::string(100'000, 'x'); }))};
  EXPECT_EQ(pool.submit([](int n) { return n; }, 3).get(), 3);
}

// The constructor throws what it threw, and leaves nothing behind.

struct failure {
  const char* name;
  remote_call initializer;
  void (*check)();  // in a handler
};

std::string text_of_current() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  }
}

void expect_broken(const char* how) {
  try {
    throw;
  } catch (const remuda::broken_pool_error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("could not be started"), std::string::npos) << text;
    EXPECT_NE(text.find("while it started"), std::string::npos) << text;
    EXPECT_NE(text.find(how), std::string::npos) << text;
    EXPECT_EQ(text.find("task 0"), std::string::npos) << "there is no such task: " << text;
  }
}

class Promise27Failures : public testing::TestWithParam<failure> {};

INSTANTIATE_TEST_SUITE_P(
    , Promise27Failures,
    testing::Values(failure{"standard", remote_call([] { throw std::out_of_range("no device"); }),
                            [] {
                              EXPECT_THROW(throw, std::out_of_range);
                              EXPECT_EQ(text_of_current(), "no device");
                            }},
                    failure{
                        "registered",
                        remote_call([](const std::string& what) { throw no_licence(what); }, std::string("expired")),
                        [] {
                          EXPECT_THROW(throw, no_licence);
                          EXPECT_EQ(text_of_current(), "expired");
                        }},
                    failure{"of_a_type_that_does_not_travel", remote_call([] { throw unheard_of("what it says"); }),
                            [] {
                              try {
                                throw;
                              } catch (const remuda::remote_error& e) {
                                EXPECT_STREQ(e.what(), "what it says");
                                EXPECT_NE(e.type().find("unheard_of"), std::string::npos);
                              }
                            }},
                    failure{"exit", remote_call([] { _exit(7); }), [] { expect_broken("exit code 7"); }},
                    failure{"exit_0", remote_call([] { _exit(0); }), [] { expect_broken("exit code 0"); }},
                    failure{"crash", remote_call([] { std::raise(SIGKILL); }), [] { expect_broken("SIGKILL"); }}),
    [](const auto& p) { return p.param.name; });

TEST_P(Promise27Failures, AtConstructionAreThrownAndLeaveNothing) {
  { remuda::process_pool warm{1}; }  // what a first pool opens for good
  const auto open_before = descriptors();
  const auto threads_before = thread_ids();
  for (const auto start : {remuda::start_method::zygote, remuda::start_method::fork}) {
    for (const unsigned workers : {1U, 3U}) {
      auto options = with_initializer(workers, GetParam().initializer);
      options.start = start;
      options.max_deaths_in_a_row = 4;
      try {
        remuda::process_pool pool{options};
        ADD_FAILURE() << "a pool whose workers cannot begin";
      } catch (...) {
        try {
          GetParam().check();
        } catch (const std::exception& e) {
          ADD_FAILURE() << "another error: " << e.what();
        }
      }
      EXPECT_TRUE(children_of(getpid()).empty());
      errno = 0;
      EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
      EXPECT_EQ(errno, ECHILD);
      EXPECT_EQ(descriptors(), open_before);
      EXPECT_TRUE(eventually([&] { return thread_ids() == threads_before; }));
    }
  }
}

// In a replacement there is no constructor to throw from.

/// Fails as soon as the file is gone.
template <class Fail>
remote_call once_gone(const std::string& file, Fail fail) {
  return remote_call(
      [fail](const std::string& name) {
        if (!std::filesystem::exists(name)) fail();
      },
      file);
}

class Promise27Replacements : public testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(, Promise27Replacements, testing::Values(1U, 2U),
                         [](const auto& p) { return std::to_string(p.param) + "_workers"; });

TEST_P(Promise27Replacements, AThrowBreaksThePoolWithItsError) {
  const shared_count good;
  remuda::process_pool pool{
      with_initializer(GetParam(), once_gone(good.path(), [] { throw no_licence("expired meanwhile"); }))};
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
  const auto first = processes_of(pool);
  unlink(good.path().c_str());
  EXPECT_EQ(remuda::test::death_of(pool.submit([] { std::abort(); })).signal(), SIGABRT);

  std::string text;
  EXPECT_TRUE(eventually([&] {
    try {
      pool.submit([] { return 1; });
      return false;
    } catch (const remuda::broken_pool_error& e) {
      text = e.what();
      try {
        std::rethrow_if_nested(e);
      } catch (const no_licence& cause) {
        text += std::string("; ") + cause.what();
      }
      return true;
    }
  }));
  EXPECT_NE(text.find("initializer"), std::string::npos) << text;
  EXPECT_NE(text.find("expired meanwhile"), std::string::npos) << text;
  pool.shutdown();
  EXPECT_TRUE(children_of(getpid()).empty());
  for (const pid_t p : first) EXPECT_FALSE(is_there(p));
}

TEST_P(Promise27Replacements, WhatWaitsForAReplacementThatFailsGetsTheError) {
  const shared_count good;
  remuda::process_pool pool{
      with_initializer(GetParam(), once_gone(good.path(), [] { throw std::out_of_range("no device"); }))};
  unlink(good.path().c_str());
  std::vector<remuda::future<void>> dead;
  try {
    for (unsigned i = 0; i < GetParam(); ++i) dead.push_back(pool.submit([] { std::raise(SIGKILL); }));
  } catch (const remuda::broken_pool_error&) {  // by the first one
    EXPECT_EQ(dead.size(), 1U);
  }
  std::vector<remuda::future<void>> pending;
  try {
    for (int i = 0; i < 50; ++i) pending.push_back(pool.submit([] { std::raise(SIGKILL); }));
  } catch (const remuda::broken_pool_error&) {  // it may be broken before all are in
  }
  // Of two the second may find the pool broken by the death of the first; which is which is up to the workers.
  int died = 0;
  for (const auto& f : dead) {
    try {
      f.get();
      ADD_FAILURE() << "it has a value";
    } catch (const remuda::worker_died& e) {
      EXPECT_EQ(e.signal(), SIGKILL);
      ++died;
    } catch (const remuda::broken_pool_error&) {
    }
  }
  EXPECT_GE(died, 1);
  int broken = 0;
  for (const auto& f : pending) {
    try {
      f.get();
      ADD_FAILURE() << "it has a value";
    } catch (const remuda::broken_pool_error& e) {
      ++broken;
      EXPECT_THROW(std::rethrow_if_nested(e), std::out_of_range);
    } catch (const remuda::worker_died&) {  // ran in the other worker while the first one was replaced
    }
  }
  EXPECT_TRUE(pending.empty() || broken > 0);
}

// The tasks that the other worker finishes meanwhile do not make up for a place that can never be taken.
TEST_P(Promise27Replacements, AnExitAgainAndAgainBreaksThePool) {
  const shared_count good;
  auto options = with_initializer(GetParam(), once_gone(good.path(), [] { _exit(7); }));
  options.max_deaths_in_a_row = 4;
  remuda::process_pool pool{options};
  unlink(good.path().c_str());
  remuda::test::death_of(pool.submit([] { std::abort(); }));
  std::string text;
  EXPECT_TRUE(eventually([&] {
    try {
      pool.submit([] { return 1; }).get();
      return false;
    } catch (const remuda::broken_pool_error& e) {
      text = e.what();
      return true;
    } catch (const remuda::worker_died&) {  // it was this task's worker that was ended
      return false;
    }
  }));
  EXPECT_NE(text.find("while it started"), std::string::npos) << text;
  EXPECT_NE(text.find("exit code 7"), std::string::npos) << text;
  EXPECT_LE(pool.stats().died, 5U);
}

}  // namespace
