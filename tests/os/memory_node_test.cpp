#include "runtime/os/memory_node.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

#include "runtime/os/memfd.hpp"
#include "runtime/os/unique_fd.hpp"

namespace remuda::os {
namespace {

class mapped_file {
 public:
  mapped_file(int fd, std::size_t bytes)
      : bytes_(bytes), begin_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) {}
  ~mapped_file() { munmap(begin_, bytes_); }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  std::byte* begin() const { return static_cast<std::byte*>(begin_); }

 private:
  std::size_t bytes_;
  void* begin_;
};

TEST(MemoryNode, IsThatOfTheFileInEveryMapping) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const unique_fd fd = make_memfd("test", 4 * page);
  const mapped_file one(fd.get(), 4 * page);
  const mapped_file two(fd.get(), 4 * page);
  EXPECT_EQ(preferred_node(one.begin()), std::nullopt);
  ASSERT_TRUE(prefer_node(one.begin() + page, 2 * page, 0));
  EXPECT_EQ(preferred_node(one.begin()), std::nullopt);
  EXPECT_EQ(preferred_node(two.begin() + page), 0U);
  EXPECT_EQ(preferred_node(two.begin() + 2 * page), 0U);
  EXPECT_EQ(preferred_node(two.begin() + 3 * page), std::nullopt);
}

TEST(MemoryNode, OneThatIsNotThereChangesNothing) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const unique_fd fd = make_memfd("test", page);
  const mapped_file memory(fd.get(), page);
  EXPECT_FALSE(prefer_node(memory.begin(), page, 1023));
  EXPECT_FALSE(prefer_node(memory.begin(), page, 100'000));
  EXPECT_EQ(preferred_node(memory.begin()), std::nullopt);
  *memory.begin() = std::byte{1};
}

TEST(MemoryNode, OfAPageIsToldWhenItIsThere) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const unique_fd fd = make_memfd("test", page);
  const mapped_file memory(fd.get(), page);
  ASSERT_TRUE(prefer_node(memory.begin(), page, 0));
  *memory.begin() = std::byte{1};
  EXPECT_EQ(node_of_page(memory.begin()), 0U);
  EXPECT_EQ(node_of_page(nullptr), std::nullopt);
}

}  // namespace
}  // namespace remuda::os
