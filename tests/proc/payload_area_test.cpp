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

TEST(PayloadArea, P32_NoRoomForMoreThanItCanKeep) {
  mapped_area m;
  for (std::uint64_t p = 0; p < most; ++p) m.area.take(p, {p * 64, p * 64 + 64});
  EXPECT_EQ(m.area.find(64).size(), 0U);
  m.area.free_before(1);
  EXPECT_GT(m.area.find(64).size(), 0U);
}

}  // namespace
