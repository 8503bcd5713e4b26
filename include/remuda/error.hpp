// The errors that the library throws. All derive from remuda::error, a std::runtime_error.
#pragma once

#include <stdexcept>

namespace remuda {

struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The future was cancelled before its task started.
struct cancelled_error : error {
  using error::error;
};

/// A time-out passed before the result was there. The task goes on and the future stays usable.
struct timeout_error : error {
  using error::error;
};

/// The operation does not fit the state that the future or promise is in; the text names that state.
struct invalid_state_error : error {
  using error::error;
};

/// The promise was destroyed without a result.
struct broken_promise : error {
  using error::error;
};

/// Work was submitted to a pool after its shutdown.
struct shutdown_error : error {
  using error::error;
};

/// The pool cannot run work any more, for example because this process is the child of a fork().
struct broken_pool_error : error {
  using error::error;
};

/// A bounded pool with when_full::fail has no room.
struct pool_full_error : error {
  using error::error;
};

}  // namespace remuda
