// Tasks that may be started again when their worker dies.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/process_pool.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::test::death_of;
using remuda::test::shared_count;

/// Dies until it is tried for the `good`th time; returns the number of that try.
long die_until(const std::string& count, long good) {
  const long tried = shared_count::add(count);
  if (tried < good) std::raise(SIGKILL);
  return tried;
}

constexpr long never = 1'000'000;

TEST(Promise25Retries, EndWithTheDeathWhenTheyAreUsedUp) {
  remuda::process_pool pool{1};
  const shared_count tries;
  const auto f = pool.submit(remuda::task_options{.retries = 2}, die_until, tries.path(), never);
  EXPECT_EQ(death_of(f).signal(), SIGKILL);
  EXPECT_EQ(tries.value(), 3);
  EXPECT_EQ(pool.stats().retried, 2U);
  EXPECT_EQ(pool.stats().died, 3U);
}

TEST(Promise25Retries, EndWithTheFirstTryThatSurvives) {
  remuda::process_pool pool{2};
  const shared_count tries;
  const auto f = pool.submit(remuda::task_options{.retries = 10}, die_until, tries.path(), 4L);
  EXPECT_EQ(f.get(), 4);
  EXPECT_EQ(tries.value(), 4);
  EXPECT_EQ(pool.stats().retried, 3U);
}

TEST(Promise25Retries, AreNotMadeUnasked) {
  remuda::process_pool pool{1};
  const shared_count tries;
  EXPECT_EQ(death_of(pool.submit(die_until, tries.path(), never)).signal(), SIGKILL);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
  EXPECT_EQ(tries.value(), 1);
  EXPECT_EQ(pool.stats().retried, 0U);
}

TEST(Promise25Retries, AreForDeathsOnly) {
  remuda::process_pool pool{1};
  const shared_count tries;
  const auto thrown = pool.submit(
      remuda::task_options{.retries = 5},
      [](const std::string& count) {
        shared_count::add(count);
        throw std::out_of_range("no death");
      },
      tries.path());
  EXPECT_THROW(thrown.get(), std::out_of_range);
  EXPECT_EQ(tries.value(), 1);
  const auto late = pool.submit(
      remuda::task_options{.timeout = 50ms, .retries = 5},
      [](const std::string& count) {
        shared_count::add(count);
        std::this_thread::sleep_for(1h);
      },
      tries.path());
  EXPECT_THROW(late.get(), remuda::timeout_error);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
  EXPECT_LE(tries.value(), 2);  // it may have been late before it could count
}

TEST(Promise25Retries, GetTheSameArguments) {
  remuda::process_pool pool{1};
  const shared_count tries;
  const std::vector<int> argument(300'000, 17);
  const auto f = pool.submit(
      remuda::task_options{.retries = 3},
      [](const std::string& count, std::vector<int> v) {
        const std::vector<int> mine = std::move(v);
        if (shared_count::add(count) < 3) std::abort();
        return mine;
      },
      tries.path(), argument);
  EXPECT_EQ(f.get(), argument);
}

TEST(Promise25Retries, OfSeveralTasksAreCountedForEach) {
  remuda::process_pool pool{2};
  std::vector<std::unique_ptr<shared_count>> tries;
  std::vector<remuda::future<long>> all;
  for (int i = 0; i < 6; ++i) {
    tries.push_back(std::make_unique<shared_count>());
    all.push_back(
        pool.submit(remuda::task_options{.retries = 2}, die_until, tries.back()->path(), i % 2 == 0 ? 3L : never));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 2 == 0) {
      EXPECT_EQ(all[i].get(), 3);
    } else {
      EXPECT_EQ(death_of(all[i]).signal(), SIGKILL);
    }
    EXPECT_EQ(tries[i]->value(), 3);
  }
}

}  // namespace
