// process_pool: worker processes started once and fed through shared memory. A task that crashes costs that task, and
// not the pool. The interface is thread_pool's.
//
// The shape is that of Python's ProcessPoolExecutor and its forkserver; rings after the shared-memory queues of MPI
// libraries. runtime/README.md tells a task's way through it, runtime/proc/CRASH.md what a death leaves behind.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "remuda/detail/remote_task.hpp"
#include "remuda/executor.hpp"
#include "remuda/future.hpp"
#include "remuda/map.hpp"
#include "remuda/shared_buffer.hpp"
#include "remuda/start_method.hpp"
#include "remuda/stats.hpp"
#include "remuda/thread_pool.hpp"

namespace remuda {

/// A call that is made in worker processes: `remote_call(f, args...)`.
class remote_call {
 public:
  remote_call() = default;
  /// Encodes function and arguments at once. Throws what encoding throws.
  template <class F, class... Args>
    requires(!std::same_as<std::decay_t<F>, remote_call>)
  explicit remote_call(F&& f, Args&&... args)
      : function_(detail::code_ref_of(reinterpret_cast<const void*>(
            &detail::run_remote<std::decay_t<F>, task_result<F, Args...>, std::decay_t<Args>...>))) {
    detail::vector_writer out;
    const std::decay_t<F> function(std::forward<F>(f));
    detail::wire_write(out, function);
    (detail::wire_write(out, std::decay_t<Args>(std::forward<Args>(args))), ...);
    bytes_ = out.take();
  }

  explicit operator bool() const noexcept { return function_ != 0; }

  /// For the library.
  detail::code_ref function() const noexcept { return function_; }
  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  detail::code_ref function_ = 0;
  std::vector<std::byte> bytes_;
};

/// Bounds for each worker process. 0: no bound but the parent's own.
struct worker_limits {
  std::uint64_t memory = 0;          ///< bytes of address space that tasks may add (RLIMIT_AS)
  std::chrono::seconds cpu_time{0};  ///< of the worker's life (RLIMIT_CPU); beyond it the kernel kills it
  std::uint64_t open_files = 0;      ///< descriptors (RLIMIT_NOFILE)
  std::uint64_t resident = 0;        ///< bytes; a worker found above it after a task is replaced, with no task lost
};

enum class output_stream { out, error };

struct process_pool_options {
  /// Default: as thread_pool_options::workers.
  std::optional<unsigned> workers = std::nullopt;
  start_method start = start_method::zygote;
  /// Of the workers, and of the pool's own thread that waits for them. Default: as the profile says, else balanced.
  std::optional<wait_policy> policy = std::nullopt;
  /// As in thread_pool_options. caller_runs runs the task in this process. In callbacks, waiting or running might be
  /// what makes the room, so what they submit is queued above the bound.
  std::size_t max_pending = 0;
  when_full full = when_full::block;
  /// Worker processes are named "NAME/0", "NAME/1" ...; the kernel keeps 15 bytes.
  std::string name = "remuda";
  /// As in thread_pool_options, both.
  std::optional<bool> pin = std::nullopt;
  std::optional<std::string> profile = std::nullopt;
  /// Bytes that the encoded arguments of a task, or its result, may have. What fits into a slot of the ring (some 80
  /// bytes) travels always. Address space is reserved for it in each worker, memory is not.
  std::size_t max_payload = std::size_t{256} << 20;
  /// Bytes that all shared buffers of the pool may have together (whole pages each). Addresses are reserved for it here
  /// with the first buffer and in each worker, memory is not. Never more than the limit on file sizes (ulimit -f). 0:
  /// no buffers.
  std::size_t max_shared = std::size_t{64} << 30;
  /// Called in each worker, also in replacements, before any task. If it throws, the constructor throws that error; if
  /// it throws in a replacement, the pool is broken. With start_method::zygote it must be the program's own code: a
  /// function of a shared library, called or named by it, is an error that says that the worker was not told of it.
  remote_call initializer = {};
  /// A worker is replaced after so many tasks, with none lost. 0: never.
  std::uint64_t max_tasks_per_worker = 0;
  worker_limits limits = {};
  /// Takes rights from the workers that computing needs not: no new privileges, no capabilities, no system calls that
  /// reach into other processes or the system. Ordinary files, memory, threads and sockets go on working.
  bool harden = false;
  /// So many deaths of workers in a row without a finished task break the pool; so do as many of one worker's
  /// replacements in a row while they start. All that die with the zygote count as one. At least 1.
  unsigned max_deaths_in_a_row = 32;
  /// Gets what callbacks and posted tasks throw, on a thread of this process. Must not wait for tasks of the pool.
  /// Default: one line on stderr.
  std::function<void(std::exception_ptr)> on_error = nullptr;
  /// Gets what workers write to stdout and stderr, line by line without the line's end, with the worker's number; on
  /// the pool's own thread. Default: to this process's stdout and stderr.
  std::function<void(output_stream, unsigned, std::string_view)> on_output = nullptr;
};

/// What one task may want beside its function and arguments.
struct task_options {
  /// Counted from its start in a worker. Past it the worker is replaced, and the future gets timeout_error. 0: none.
  std::chrono::nanoseconds timeout{0};
  /// How often the task may be started again when its worker died while running it.
  unsigned retries = 0;
};

namespace detail {
class process_core;
}

class process_pool {
 public:
  static constexpr unsigned max_workers = 1024;

  /// Starts all workers and waits until they are ready. Throws std::invalid_argument for options without a meaning,
  /// std::system_error where the system gives no process, memory or descriptor, remuda::error where the program is not
  /// linked as it has to be (the text says what to add), and what the initializer throws.
  process_pool();
  explicit process_pool(unsigned workers);
  explicit process_pool(process_pool_options options);
  /// shutdown(wait). Inside one of its own callbacks it cannot wait: it returns at once.
  ~process_pool();

  process_pool(const process_pool&) = delete;
  process_pool& operator=(const process_pool&) = delete;

  /// Queues f(args...) for a worker process. Function, arguments and result travel as bytes (wire.hpp): functions,
  /// captureless lambdas, closures of trivially copyable captures; values that can be copied as bytes, standard
  /// containers, types with cereal functions. What cannot travel does not compile.
  /// Any thread; takes a short lock (apart from when_full::block). Throws shutdown_error, pool_full_error,
  /// broken_pool_error, std::bad_alloc. An argument that throws while it is encoded makes the future an error.
  /// What encodes arguments and decodes results, the types' own cereal functions, and the destructors of arguments must
  /// not use the pool: they run with the lock of one worker's ring held, or as its one receiver.
  template <class F, class... Args>
  future<task_result<F, Args...>> submit(F&& f, Args&&... args) {
    return submit(task_options{}, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  future<task_result<F, Args...>> submit(const task_options& options, F&& f, Args&&... args) {
    using result = task_result<F, Args...>;
    auto* task = make<result, false>(options, std::forward<F>(f), std::forward<Args>(args)...);
    future<result> out(task);
    schedule(task, task->part);
    return out;
  }

  /// As submit, without a future: nobody waits for it, an exception goes to the error hook, so does a worker's death.
  template <class F, class... Args>
  void post(F&& f, Args&&... args) {
    auto* task = make<void, true>(task_options{}, std::forward<F>(f), std::forward<Args>(args)...);
    schedule(task, task->part);
  }

  /// Results of f over a range, lazily and in input order: see map.hpp.
  template <class F, class Range>
  auto map(F f, Range&& range, map_options options = {}) {
    return remuda::map(*this, std::move(f), std::forward<Range>(range), options);
  }

  /// Memory for `count` elements that tasks see without a copy (shared_buffer.hpp), all its bytes zero. Any thread;
  /// asks the system for the memory. Throws std::bad_alloc, whose text says whether max_shared or the machine is short
  /// of it; shutdown_error.
  template <class T>
  shared_buffer<T> make_buffer(std::size_t count) {
    return detail::buffer_access::make<T>(allocate_shared(detail::buffer_access::bytes_of<T>(count)));
  }

  /// Ends the pool; later submits throw shutdown_error. Returns when all tasks and their callbacks are done and every
  /// process is gone; inside a callback of the pool it returns at once. Calling it again is harmless.
  void shutdown(shutdown_mode mode = shutdown_mode::wait);

  /// Ends the pool now: the workers get SIGTERM (after 2 s SIGKILL), or SIGKILL at once. What ran gets worker_died,
  /// what had not started broken_pool_error. kill() after terminate() ends the wait. Nothing on a pool that has ended.
  /// Does not wait.
  void terminate();
  void kill();

  /// Number of workers.
  unsigned size() const noexcept;
  /// Counters; any thread, any time. Allocates.
  process_pool_stats stats() const;
  /// As thread_pool::settings.
  const pool_settings& settings() const noexcept;

 private:
  template <class R, bool Detached, class F, class... Args>
  auto* make(const task_options& options, F&& f, Args&&... args) {
    static_assert(!std::is_reference_v<R>,
                  "the task returns a reference, which means nothing in another process: let it return a value");
    using closure = detail::bound<std::decay_t<F>, std::decay_t<Args>...>;
    using task = detail::remote_task<closure, R, Detached>;
    auto* made = detail::make_block<task>(
        [&] {
          if constexpr (sizeof...(Args) == 0) {
            return closure{std::forward<F>(f)};
          } else {
            return closure{std::forward<F>(f), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
          }
        },
        id_);
    made->part.timeout = options.timeout;
    made->part.retries = options.retries;
    return made;
  }
  /// Takes over the queue's reference, also when it throws.
  void schedule(detail::state* task, detail::remote_part& part);

  detail::block_ptr allocate_shared(std::size_t bytes);

  std::shared_ptr<detail::process_core> core_;
  std::uint64_t id_ = 0;
};

}  // namespace remuda
