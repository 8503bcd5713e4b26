// What holds at compile time: which types fit the executor concept, and what can be copied.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "remuda/remuda.hpp"

namespace {

using namespace remuda;

static_assert(executor<thread_pool>);
static_assert(!executor<int>);
static_assert(!executor<std::vector<int>>);

static_assert(!std::is_copy_constructible_v<thread_pool> && !std::is_move_constructible_v<thread_pool>);
static_assert(!std::is_convertible_v<unsigned, thread_pool>);

static_assert(std::is_nothrow_default_constructible_v<future<int>>);
static_assert(std::is_nothrow_copy_constructible_v<future<std::unique_ptr<int>>>, "a handle is copied, not the value");
static_assert(std::is_nothrow_move_constructible_v<future<std::string>>);
static_assert(std::is_nothrow_copy_assignable_v<future<void>> && std::is_nothrow_move_assignable_v<future<int&>>);
static_assert(!std::is_copy_constructible_v<promise<int>> && std::is_nothrow_move_constructible_v<promise<int>>);
static_assert(sizeof(future<std::string>) == sizeof(void*));

template <class P, class... Args>
concept can_set = requires(P& p, Args&&... args) { p.set_value(std::forward<Args>(args)...); };
static_assert(can_set<promise<int>, int> && !can_set<promise<int>> && !can_set<promise<int>, int, int>);
static_assert(can_set<promise<void>> && !can_set<promise<void>, int>);

template <class F, class C>
concept can_call_back = requires(const F& f, C&& c) { f.on_done(std::forward<C>(c)); };
static_assert(can_call_back<future<int>, void (*)(const future<int>&)>);
static_assert(can_call_back<future<int>, void (*)(future<int>)>);
static_assert(!can_call_back<future<int>, void (*)(int)> && !can_call_back<future<int>, void (*)()>);

template <class Pool, class... Args>
concept can_submit = requires(Pool& p, Args&&... args) { p.submit(std::forward<Args>(args)...); };
static_assert(can_submit<thread_pool, int (*)(std::unique_ptr<int>), std::unique_ptr<int>>);
static_assert(!can_submit<thread_pool, int (*)(int)>, "an argument is missing");
static_assert(!can_submit<thread_pool, int (*)(int&), int&>, "the task gets its own copy, and gets it as an rvalue");
static_assert(!can_submit<thread_pool, int>);

template <class T>
using submitted = decltype(std::declval<thread_pool&>().submit(std::declval<T>()));
static_assert(std::is_same_v<submitted<void (*)()>, future<void>>);
static_assert(std::is_same_v<submitted<int& (*)()>, future<int&>>);
static_assert(std::is_same_v<submitted<std::unique_ptr<int> (*)()>, future<std::unique_ptr<int>>>);

static_assert(std::is_base_of_v<std::runtime_error, error>);
static_assert(std::is_base_of_v<error, cancelled_error> && std::is_base_of_v<error, timeout_error>);
static_assert(std::is_base_of_v<error, invalid_state_error> && std::is_base_of_v<error, broken_promise>);
static_assert(std::is_base_of_v<error, shutdown_error> && std::is_base_of_v<error, broken_pool_error>);
static_assert(std::is_base_of_v<error, pool_full_error>);

/// User code that is written once for every pool.
template <executor Pool>
int add_up(Pool& pool) {
  std::vector<future<int>> futures;
  for (int i = 1; i <= 4; ++i) futures.push_back(pool.submit([](int n) { return n; }, i));
  int sum = 0;
  for (const auto& f : futures) sum += f.get();
  return sum;
}

TEST(Executor, OneCodeForEveryPool) {
  thread_pool pool(2);
  EXPECT_EQ(add_up(pool), 10);
}

}  // namespace
