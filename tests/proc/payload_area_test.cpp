// The room for large payloads in a segment, and the writer that fills it.
#include "runtime/proc/payload_area.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "runtime/os/memfd.hpp"

namespace {

using remuda::detail::payload_area;
using remuda::detail::payload_writer;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t area_bytes = 80 * mib;
constexpr std::size_t most = 4;
constexpr std::size_t half = 2 * mib + 100;

struct mapped_area {
  remuda::os::unique_fd file = remuda::os::make_memfd("area", area_bytes);
  std::byte* base = static_cast<std::byte*>(
      mmap(nullptr, area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0));
  payload_area area{file.get(), base, 0, area_bytes, most};

  mapped_area() { EXPECT_NE(base, MAP_FAILED); }
  ~mapped_area() { munmap(base, area_bytes); }
  mapped_area(const mapped_area&) = delete;
  mapped_area& operator=(const mapped_area&) = delete;
};

// The area gives memory back when it runs empty, but a payload that is not finished lies in it, too.
TEST(PayloadArea, P32_WhatIsWrittenStaysWhileItsWriterWaitsForRoom) {
  mapped_area m;
  std::byte slot[16];
  const std::vector<std::byte> block(mib, std::byte{'a'});
  payload_writer first(
      slot, sizeof slot, m.area, [](void*) { FAIL() << "there is room"; }, nullptr);
  for (std::size_t i = 0; i < area_bytes / mib - 3; ++i) first.write(block.data(), block.size());
  first.keep(0);

  const std::vector<std::byte> text(half, std::byte{'b'});
  payload_writer second(
      slot, sizeof slot, m.area, [](void* area) { static_cast<payload_area*>(area)->free_before(1); }, &m.area);
  second.write(text.data(), half);  // behind the first
  second.write(text.data(), half);  // in its place
  const std::byte* const begin = m.base + second.keep(1);
  ASSERT_EQ(second.size(), 2 * half);
  EXPECT_EQ(std::memcmp(begin, text.data(), half), 0) << "lost while the writer waited for room";
  EXPECT_EQ(std::memcmp(begin + half, text.data(), half), 0);
}

TEST(PayloadArea, P32_NoRoomForMoreThanItCanKeep) {
  mapped_area m;
  for (std::uint64_t p = 0; p < most; ++p) m.area.take(p, {p * 64, p * 64 + 64});
  EXPECT_EQ(m.area.find(64).size(), 0U);
  m.area.free_before(1);
  EXPECT_GT(m.area.find(64).size(), 0U);
}

}  // namespace
