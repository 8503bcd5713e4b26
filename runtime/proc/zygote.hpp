// The parent's side of the zygote, the process that forks the workers of a pool.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "remuda/start_method.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// Owns a zygote. Of its functions only socket() and pid() may be called by two threads at a time.
class zygote {
 public:
  struct event {
    enum kind {
      spawned,       ///< lane, pid, pidfd (none where no descriptor was free for it)
      spawn_failed,  ///< lane, status (an errno value)
      died,          ///< lane, pid, status (a wait status): the worker has ended and is reaped
      zygote_died,   ///< pid, status (a wait status; 0 when somebody else reaped it): once, and nothing comes after it
    } what = spawned;
    std::uint32_t lane = 0;
    pid_t pid = 0;
    os::unique_fd pidfd;
    int status = 0;
  };

  /// Starts it and waits until it is ready. Blocks, for about a millisecond and as long as static constructors of the
  /// program take. Throws remuda::error when the program has no entry for a zygote or the zygote did not come up, and
  /// std::system_error when the system refused it; nothing of it is left then.
  explicit zygote(start_method how);

  /// The same without the wait. spawn() may be called at once, and what it asks for is there the sooner; receive() only
  /// after await_ready().
  struct without_waiting {};
  zygote(start_method how, without_waiting);
  /// Waits until it is ready; nothing when it is. Throws as the constructor that waits.
  void await_ready();

  /// Ends it, and it ends what is left of its workers first. Blocks until it is gone, for about a millisecond. In a
  /// fork()ed child of the owner it only closes the child's descriptors.
  ~zygote();

  zygote(const zygote&) = delete;
  zygote& operator=(const zygote&) = delete;

  /// For epoll: readable when receive() has something.
  int socket() const noexcept { return socket_.get(); }
  pid_t pid() const noexcept { return pid_; }

  /// Asks for a worker. Blocks only while many requests are under way; the answer is an event, spawned or spawn_failed,
  /// or zygote_died. The worker gets copies of the descriptors. Throws std::system_error, EPIPE once it has died.
  void spawn(const worker_settings& settings, const worker_fds& fds);

  /// The next event; nullopt: there is none now. Never blocks. A worker's `died` comes after its `spawned`.
  /// Throws std::system_error.
  std::optional<event> receive();

 private:
  void end() noexcept;

  os::unique_fd socket_;
  os::unique_fd pidfd_;
  pid_t pid_ = -1;
  pid_t owner_ = -1;  // a forked child of the owner must leave the zygote alone
  bool ready_ = false;
  bool over_ = false;
};

}  // namespace remuda::detail
