// Memory of a node: how long a load takes that no cache answers, and how fast one core can read.
//
// The chain: line i is followed by line (i * factor + step) modulo the number of lines, which is a power of two. With a
// factor that is 1 modulo 4 and an odd step this is one cycle through all lines. It costs no shuffling, and strides
// change with every step. Huge pages are asked for, since without them the walk would measure page tables too.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "runtime/os/error.hpp"
#include "runtime/os/memory_node.hpp"
#include "tools/remuda/measure/measuring.hpp"

namespace remuda::tool {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// The results go here, so that the loads have to be made.
volatile std::uint64_t sink;

// The first number in the file; none for "max" and for no file.
std::optional<std::size_t> number_in(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

}  // namespace

std::size_t memory_area_bytes(std::size_t last_cache, std::size_t available, std::size_t areas) {
  const std::size_t wanted = std::clamp(4 * std::min(last_cache, 1024 * mebibyte), 64 * mebibyte, 512 * mebibyte);
  const std::size_t allowed = std::max(available / 8 / std::max<std::size_t>(areas, 1), mebibyte);
  return std::min(std::bit_ceil(wanted), std::bit_floor(allowed));
}

std::size_t last_cache_bytes() {
  const std::size_t l2 = static_cast<std::size_t>(std::max(0L, sysconf(_SC_LEVEL2_CACHE_SIZE)));
  return std::max(l2, static_cast<std::size_t>(std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE))));
}

std::size_t available_memory() {
  std::size_t available = std::numeric_limits<std::size_t>::max();
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    std::size_t kibibytes = 0;
    if (name == "MemAvailable:" && file >> kibibytes) available = kibibytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  // A container sees its own group there, in version 2 and 1.
  for (const auto& [most, used] :
       {std::pair("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        std::pair("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes")}) {
    const auto limit = number_in(most);
    if (!limit) continue;
    const std::size_t gone = number_in(used).value_or(0);
    available = std::min(available, *limit > gone ? *limit - gone : 0);
  }
  return available;
}

memory_area::memory_area(unsigned node, std::size_t bytes) {
  const std::size_t count = bytes / sizeof(line);
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    os::throw_errno(errno, "cannot get " + std::to_string(bytes / mebibyte) + " MiB to measure with");
  madvise(at, bytes, MADV_HUGEPAGE);  // where it is refused the figures hold misses of the page tables
  os::prefer_node(at, bytes, node);   // node() tells whether it worked
  lines_ = static_cast<line*>(at);
  count_ = count;
  at_ = lines_;
  constexpr std::uint64_t factor = 6'364'136'223'846'793'005U;  // Knuth's; 1 modulo 4
  constexpr std::uint64_t step = 1'442'695'040'888'963'407U;
  for (std::uint64_t i = 0; i < count; ++i) lines_[i].next = lines_ + (i * factor + step) % count;
}

memory_area::~memory_area() { munmap(lines_, bytes()); }

std::optional<unsigned> memory_area::node() const { return os::node_of_page(lines_); }

void memory_area::measure_latency(std::optional<unsigned> cpu, const limit& until, samples& loads) {
  constexpr int batch = 1'000;
  on_cpu(cpu, [&] {
    const line* at = at_;
    do {
      const auto start = clock::now();
      for (int i = 0; i < batch; ++i) at = at->next;
      sink = reinterpret_cast<std::uintptr_t>(at);
      loads.add(nanoseconds_between(start, clock::now()) / batch);
    } while (!until.reached());
    at_ = lines_ + (at - lines_);
  });
}

void memory_area::measure_bandwidth(std::optional<unsigned> cpu, const limit& until, samples& rates) {
  const std::size_t batch = std::min(count_, 2 * mebibyte / sizeof(line));  // both powers of two: ends with the area
  on_cpu(cpu, [&] {
    do {
      const line* const from = lines_ + read_up_to_;
      read_up_to_ = (read_up_to_ + batch) % count_;
      std::uint64_t sum = 0;
      const auto start = clock::now();
      for (std::size_t i = 0; i < batch; ++i) sum ^= from[i].rest[0];  // one word brings the whole line
      sink = sum;
      const double ns = nanoseconds_between(start, clock::now());
      rates.add(static_cast<double>(batch * sizeof(line)) / std::max(ns, 1.0) * 1e9);
    } while (!until.reached());
  });
}

}  // namespace remuda::tool
