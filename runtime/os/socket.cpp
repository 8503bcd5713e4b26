#include "runtime/os/socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "runtime/os/error.hpp"

namespace remuda::os {
namespace {

constexpr std::size_t control_bytes = CMSG_SPACE(max_message_fds * sizeof(int));

struct alignas(cmsghdr) control_buffer {
  std::byte bytes[control_bytes] = {};
};

// A process that has closed stdin gets the number 0 for its next descriptor, and whoever then sets up the standard
// descriptors of a child would overwrite it.
unique_fd above_standard(unique_fd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  unique_fd higher(fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!higher) throw_errno(errno, "cannot make a socket");
  return higher;
}

void take_descriptors(msghdr& header, message& to) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      to.fds.emplace_back(fd);
    }
  }
}

}  // namespace

std::pair<unique_fd, unique_fd> seqpacket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw_errno(errno, "cannot make a socket");
  unique_fd first(ends[0]);
  unique_fd second(ends[1]);
  first = above_standard(std::move(first));
  second = above_standard(std::move(second));
  return {std::move(first), std::move(second)};
}

int send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) noexcept {
  if (fds.size() > max_message_fds) return EINVAL;
  // sendmsg() does not write through this pointer, which its type does not say
  iovec data{const_cast<std::byte*>(bytes.data()), bytes.size()};
  control_buffer control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno == ECONNRESET) return EPIPE;
    if (errno != EINTR) return errno;
  }
}

message receive_message(int socket, std::span<std::byte> buffer) {
  iovec data{buffer.data(), buffer.size()};
  control_buffer control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  message received;
  received.fds.reserve(max_message_fds);  // before there is a descriptor that lack of memory would leak
  ssize_t got = -1;
  do {
    got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) return received;
    if (errno != ECONNRESET) throw_errno(errno, "cannot receive from another process");
    received.what = message::state::closed;  // it died with messages of ours unread
    return received;
  }
  take_descriptors(header, received);
  // no message of ours is empty, so that nothing means the end
  received.what = got == 0 ? message::state::closed : message::state::data;
  received.bytes = static_cast<std::size_t>(got);
  received.truncated = (header.msg_flags & MSG_TRUNC) != 0;
  received.descriptors_lost = (header.msg_flags & MSG_CTRUNC) != 0;
  return received;
}

}  // namespace remuda::os
