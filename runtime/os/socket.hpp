// Messages, with descriptors in them, between two processes of one machine.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "runtime/os/unique_fd.hpp"

namespace remuda::os {

/// Two connected ends; a message arrives whole or not at all, in order, and each end sees when the other is gone. Both
/// are close-on-exec and above the three standard descriptors. Throws std::system_error.
std::pair<unique_fd, unique_fd> seqpacket_pair();

/// The most descriptors that one message carries here.
inline constexpr std::size_t max_message_fds = 8;

/// Sends a message, not an empty one, with copies of these descriptors. Never blocks and never raises SIGPIPE. Returns
/// 0 or an errno value: EAGAIN: no room now; EPIPE: the other end is gone.
int send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds = {}) noexcept;

struct message {
  enum class state {
    none,    ///< nothing is there now
    data,    ///< a message
    closed,  ///< the other end is gone, and nothing that it sent is left
  };
  state what = state::none;
  std::size_t bytes = 0;          ///< how much of the buffer it filled
  std::vector<unique_fd> fds;     ///< close-on-exec
  bool truncated = false;         ///< it was larger than the buffer
  bool descriptors_lost = false;  ///< not all descriptors could be received: this process has too many open
};

/// Takes the next message. Never blocks. Throws std::system_error.
message receive_message(int socket, std::span<std::byte> buffer);

}  // namespace remuda::os
