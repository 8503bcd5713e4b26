#include "runtime/os/memfd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tests/support/process.hpp"

namespace remuda::os {
namespace {

TEST(Memfd, P31_ItsSizeCannotChange) {
  const unique_fd fd = make_memfd("test", 8192);
  struct stat s {};
  ASSERT_EQ(fstat(fd.get(), &s), 0);
  EXPECT_EQ(s.st_size, 8192);
  EXPECT_TRUE(is_sealed(fd.get()));
  for (const off_t size : {0, 4096, 16384}) {
    EXPECT_EQ(ftruncate(fd.get(), size), -1);
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), -1) << "the other side could make it read-only";
}

TEST(Memfd, P31_IsSharedAndCloseOnExec) {
  const unique_fd fd = make_memfd("test", 4096);
  EXPECT_EQ(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  void* const one = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  void* const two = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(one, MAP_FAILED);
  ASSERT_NE(two, MAP_FAILED);
  *static_cast<volatile int*>(one) = 42;
  EXPECT_EQ(*static_cast<volatile int*>(two), 42);
  munmap(one, 4096);
  munmap(two, 4096);
}

TEST(Memfd, P31_ALargeOneCostsNothingUntilItIsTouched) {
  const unique_fd fd = make_memfd("test", std::size_t{1} << 40);
  struct stat s {};
  ASSERT_EQ(fstat(fd.get(), &s), 0);
  EXPECT_EQ(s.st_blocks, 0);
}

TEST(Memfd, P31_AnUnsealedFileIsSeenAsSuch) {
  const unique_fd plain(memfd_create("test", MFD_CLOEXEC));
  EXPECT_FALSE(is_sealed(plain.get()));
  EXPECT_FALSE(is_sealed(-1));
}

TEST(Memfd, P29_AnErrorSaysWhatToDo) {
  const auto complaint = test::in_child([]() -> std::string {
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{3, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    try {
      make_memfd("test", 4096);
    } catch (const std::system_error& e) {
      setrlimit(RLIMIT_NOFILE, &before);  // a sanitizer needs descriptors to look at an exception
      const std::string text = e.what();
      return e.code().value() == EMFILE && text.find("ulimit -n") != std::string::npos ? "" : text;
    }
    return "no error";
  });
  EXPECT_TRUE(test::well(complaint)) << complaint;
  EXPECT_THROW(make_memfd("test", ~std::size_t{0}), std::system_error);
}

}  // namespace
}  // namespace remuda::os
