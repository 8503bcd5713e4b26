// The errors that the library throws. All derive from remuda::error, a std::runtime_error.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

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

/// A value could not be turned into bytes, or bytes could not be turned back into a value.
struct serialization_error : error {
  using error::error;
};

/// What stands for an exception of a worker process whose type does not travel (see register_exception in wire.hpp).
/// what() is the text that the exception had there.
class remote_error : public error {
 public:
  /// `nested` is the exception that it was thrown with, if any.
  remote_error(std::string type, const std::string& what, std::exception_ptr nested = nullptr)
      : error(what), details_(std::make_shared<const details>(std::move(type), std::move(nested))) {}

  /// The name of the exception's type, as in source code.
  [[nodiscard]] const std::string& type() const noexcept { return details_->type; }

  /// What std::rethrow_if_nested would throw; null if the exception was thrown with none.
  [[nodiscard]] const std::exception_ptr& nested() const noexcept { return details_->nested; }

 private:
  struct details {
    details(std::string t, std::exception_ptr n) : type(std::move(t)), nested(std::move(n)) {}
    std::string type;
    std::exception_ptr nested;
  };
  std::shared_ptr<const details> details_;  // copying an exception must not throw
};

/// The worker process that ran the task is gone. Whatever the task had done until then is done.
class worker_died : public error {
 public:
  /// `wait_status` is what waitpid() gave; `task_id` as task_id() gives it.
  worker_died(int wait_status, std::uint64_t task_id);

  /// What the process passed to exit(); nothing if a signal killed it.
  [[nodiscard]] std::optional<int> exit_code() const noexcept;

  /// The signal that killed the process; nothing if it ended by itself.
  [[nodiscard]] std::optional<int> signal() const noexcept;

  /// The number of the task among those that were submitted to its pool, from 1 on; 0: it ran none.
  [[nodiscard]] std::uint64_t task_id() const noexcept { return task_id_; }

  /// As given to the constructor.
  [[nodiscard]] int wait_status() const noexcept { return wait_status_; }

 private:
  int wait_status_;
  std::uint64_t task_id_;
};

}  // namespace remuda
