// The interface that every pool has, so that user code is written once for threads and processes.
#pragma once

#include <concepts>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "remuda/future.hpp"

namespace remuda {

enum class shutdown_mode {
  wait,            ///< everything accepted runs to its end
  cancel_pending,  ///< what has not started is cancelled; what runs finishes
};

/// What f(args...) returns when a pool calls it: with its own, moved copies of function and arguments.
template <class F, class... Args>
using task_result = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;

// clang-format off
/// A pool: submit gives a future, post does not, shutdown ends it.
template <class E>
concept executor = requires(E& e, void (*f)(), int (*g)(int)) {
  { e.submit(f) } -> std::same_as<future<void>>;
  { e.submit(g, 1) } -> std::same_as<future<int>>;
  e.post(f);
  e.shutdown(shutdown_mode::wait);
  { std::as_const(e).size() } -> std::convertible_to<unsigned>;
};
// clang-format on

namespace detail {

/// f and its arguments as one closure that is called once. Without arguments it is f itself.
template <class F, class... Args>
struct bound {
  F f;
  std::tuple<Args...> args;
  decltype(auto) operator()() && {
    return std::apply([this](Args&... a) -> decltype(auto) { return std::invoke(std::move(f), std::move(a)...); },
                      args);
  }
};

template <class F>
struct bound<F> {
  F f;
  decltype(auto) operator()() && { return std::invoke(std::move(f)); }
};

}  // namespace detail
}  // namespace remuda
