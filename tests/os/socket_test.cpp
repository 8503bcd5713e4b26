#include "runtime/os/socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "runtime/os/memfd.hpp"
#include "tests/support/process.hpp"

namespace remuda::os {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct ends {
  std::pair<unique_fd, unique_fd> pair = seqpacket_pair();
  int a() const { return pair.first.get(); }
  int b() const { return pair.second.get(); }
};

std::string text_of(const message& m, const std::array<char, 64>& buffer) { return {buffer.data(), m.bytes}; }

TEST(Socket, P29_MessagesStayWholeAndInOrder) {
  const ends s;
  std::array<char, 64> buffer{};
  EXPECT_EQ(receive_message(s.b(), std::as_writable_bytes(std::span(buffer))).what, message::state::none);
  EXPECT_EQ(send_message(s.a(), bytes_of("one")), 0);
  EXPECT_EQ(send_message(s.a(), bytes_of("three")), 0);
  for (const char* expected : {"one", "three"}) {
    const message m = receive_message(s.b(), std::as_writable_bytes(std::span(buffer)));
    EXPECT_EQ(m.what, message::state::data);
    EXPECT_EQ(text_of(m, buffer), expected);
    EXPECT_FALSE(m.truncated || m.descriptors_lost);
    EXPECT_TRUE(m.fds.empty());
  }
}

TEST(Socket, P29_DescriptorsTravelAndAreCloseOnExec) {
  const ends s;
  const unique_fd memory = make_memfd("travels", 4096);
  const std::array<int, 3> sent{memory.get(), STDIN_FILENO, memory.get()};
  EXPECT_EQ(send_message(s.a(), bytes_of("x"), sent), 0);
  std::array<char, 64> buffer{};
  const message m = receive_message(s.b(), std::as_writable_bytes(std::span(buffer)));
  ASSERT_EQ(m.fds.size(), 3U);
  EXPECT_TRUE(is_sealed(m.fds[0].get()));
  for (const unique_fd& fd : m.fds) EXPECT_EQ(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(fcntl(s.a(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(fcntl(s.b(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Socket, P29_TheEndOfTheOtherSideIsSeen) {
  ends s;
  EXPECT_EQ(send_message(s.a(), bytes_of("last")), 0);
  s.pair.first.reset();
  std::array<char, 64> buffer{};
  const auto to = std::as_writable_bytes(std::span(buffer));
  EXPECT_EQ(receive_message(s.b(), to).what, message::state::data) << "what was sent before the end is lost";
  EXPECT_EQ(receive_message(s.b(), to).what, message::state::closed);
  EXPECT_EQ(send_message(s.b(), bytes_of("x")), EPIPE);  // and no SIGPIPE
}

TEST(Socket, P29_AFullSocketDoesNotBlock) {
  const ends s;
  int error = 0;
  int sent = 0;
  while ((error = send_message(s.a(), bytes_of("x"))) == 0) ++sent;
  EXPECT_EQ(error, EAGAIN);
  std::array<char, 64> buffer{};
  for (int i = 0; i < sent; ++i) {
    ASSERT_EQ(receive_message(s.b(), std::as_writable_bytes(std::span(buffer))).what, message::state::data);
  }
}

TEST(Socket, P29_LostDescriptorsAreTold) {
  const auto r = test::in_child([]() -> std::string {
    const ends s;
    const std::array<int, 4> sent{0, 1, 2, 0};
    if (send_message(s.a(), bytes_of("x"), sent) != 0) return "send";
    const unique_fd free(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlimit two_more{static_cast<rlim_t>(free.get()) + 3, 1024};
    if (setrlimit(RLIMIT_NOFILE, &two_more) != 0) return "setrlimit";
    std::array<char, 64> buffer{};
    const message m = receive_message(s.b(), std::as_writable_bytes(std::span(buffer)));
    return m.descriptors_lost && m.fds.size() < sent.size() && m.bytes == 1 ? "" : "not told";
  });
  EXPECT_TRUE(test::well(r)) << r;
}

TEST(Socket, P29_TruncationIsTold) {
  const ends s;
  EXPECT_EQ(send_message(s.a(), bytes_of("too long")), 0);
  std::array<char, 3> buffer{};
  const message m = receive_message(s.b(), std::as_writable_bytes(std::span(buffer)));
  EXPECT_TRUE(m.truncated);
  EXPECT_EQ(m.bytes, 3U);
}

TEST(Socket, P29_KeepsClearOfTheStandardDescriptors) {
  const auto r = test::in_child([]() -> std::string {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    const ends s;
    return s.a() > STDERR_FILENO && s.b() > STDERR_FILENO ? "" : "a child's stdin would be the socket";
  });
  EXPECT_TRUE(test::well(r)) << r;
}

}  // namespace
}  // namespace remuda::os
