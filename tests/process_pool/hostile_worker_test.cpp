// P31: tasks that write garbage into the memory which their worker shares with the parent, and misuse every descriptor
// they have. The parent and the tasks of other workers take no harm.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <random>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <string>
#include <thread>
#include <vector>

#include "runtime/proc/segment.hpp"
#include "tests/support/eventually.hpp"

namespace {

using namespace std::chrono_literals;
using remuda::detail::call_slot;
using remuda::detail::segment_header;
using remuda::test::eventually;

constexpr std::size_t payload = std::size_t{1} << 20;
constexpr std::uint32_t capacity = 256;

remuda::process_pool_options options(unsigned workers) {
  remuda::process_pool_options o;
  o.workers = workers;
  o.pin = false;
  o.max_payload = payload;
  o.max_deaths_in_a_row = 1000;
  return o;
}

// --- what runs in workers
// ---------------------------------------------------------------------------------------------

struct own_segment {
  std::byte* base = nullptr;
  std::size_t size = 0;
  remuda::detail::segment_layout layout{capacity, payload, payload};

  own_segment() {
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    char line[512];
    while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
      std::uintptr_t begin = 0;
      std::uintptr_t end = 0;
      if (std::strstr(line, "/memfd:remuda") == nullptr ||
          std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) != 2) {
        continue;
      }
      base = reinterpret_cast<std::byte*>(begin);
      size = end - begin;
    }
    if (maps != nullptr) std::fclose(maps);
    if (base == nullptr || size != layout.total) _exit(99);
  }
  call_slot& slot(std::size_t i) const { return reinterpret_cast<call_slot*>(base + layout.slots)[i % capacity]; }
  segment_header& header() const { return *reinterpret_cast<segment_header*>(base); }
};

void put(std::byte* at, std::uint64_t value, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    static_cast<volatile std::byte*>(at)[i] = static_cast<std::byte>(value >> 8 * (i % 8));
  }
}

int scribble(unsigned seed) {
  const own_segment segment;
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    call_slot& slot = segment.slot(random() % 8);
    auto* const bytes = reinterpret_cast<std::byte*>(&slot);
    const std::uint64_t value = random() % 2 == 0 ? random() : random() % 64;
    switch (random() % 6) {
      case 0:
        put(bytes, value, sizeof(std::uint32_t));
        break;
      case 1:
        put(bytes + 8 * (random() % (sizeof slot / 8)), value, 8);
        break;
      case 2:
        put(bytes, value, sizeof slot);
        break;
      case 3:
        put(segment.base + 4 * (random() % (segment.layout.slots / 4)), value, 4);
        break;
      case 4:
        put(segment.base + segment.layout.arguments + random() % (2 * payload - 8), value, 8);
        break;
      default:  // an answer that is none
        slot.kind = static_cast<remuda::detail::slot_kind>(11 + random() % 3);
        slot.id = random() % 64;
        slot.where = random() % 2 == 0 ? segment.layout.results : value;
        slot.size = value;
        slot.word.store(static_cast<std::uint32_t>(random() % 32), std::memory_order_release);
        break;
    }
  }
  return static_cast<int>(seed);
}

void ring_all_bells() {
  for (int fd = 3; fd < 64; ++fd) {
    const std::uint64_t one = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    [[maybe_unused]] const auto n = write(fd, &one, sizeof one);
  }
}

int one_corrupt_word() {
  const own_segment segment;
  for (std::size_t i = 0; i < capacity; ++i) put(reinterpret_cast<std::byte*>(&segment.slot(i)), ~std::uint64_t{0}, 4);
  for (;;) ring_all_bells();  // keeps the pool's thread awake and looking
}

void wait_for_stage(const remuda::shared_buffer<int>& stage, int wanted) {
  while (std::atomic_ref<int>(stage[0]).load() < wanted) std::this_thread::yield();
}

/// Answers, spoils the word of the call behind, and ends when the answer is received.
void answer_and_spoil(const remuda::shared_buffer<int>& stage) {
  wait_for_stage(stage, 1);
  const own_segment segment;
  const std::uint64_t before = segment.header().received.load();
  for (std::size_t i = 0; i < capacity; ++i) {
    call_slot& slot = segment.slot(i);
    const std::uint32_t now = slot.word.load();
    if ((now & 7U) != 2) continue;
    put(reinterpret_cast<std::byte*>(&segment.slot(i + 1)), ~std::uint64_t{0}, 4);
    slot.kind = remuda::detail::slot_kind::value;
    slot.where = slot.size = 0;
    slot.word.store(now + 1, std::memory_order_release);
    break;
  }
  while (segment.header().received.load() == before) ring_all_bells();
  _exit(3);
}

int tell_and_hold(const remuda::shared_buffer<int>& stage) {
  wait_for_stage(stage, 2);
  std::puts("here");
  std::fflush(stdout);
  wait_for_stage(stage, 3);
  return 7;
}

/// As if it had not begun, when it dies.
int take_back_the_claim() {
  const own_segment segment;
  for (std::size_t i = 0; i < capacity; ++i) {
    auto& word = segment.slot(i).word;
    const std::uint32_t now = word.load();
    if ((now & 7U) == 2) word.store(now - 1);
  }
  _exit(3);
}

int never_started() {
  const own_segment segment;
  for (;;) {
    for (std::size_t i = 0; i < capacity; ++i) segment.slot(i).started_at = -1;
    std::this_thread::sleep_for(1ms);
  }
}

/// The descriptors that a worker has are descriptions it shares with the parent, flags included.
int empty_bell() {
  const own_segment segment;
  std::vector<int> bells;
  for (int fd = 0; fd < 64; ++fd) {
    char target[64] = {};
    const std::string name = "/proc/self/fd/" + std::to_string(fd);
    if (readlink(name.c_str(), target, sizeof target - 1) <= 0) continue;
    if (std::strstr(target, "eventfd") == nullptr) continue;
    if (fcntl(fd, F_SETFL, 0) == 0) bells.push_back(fd);
  }
  if (bells.empty()) return -1;
  for (const int fd : bells) {
    for (int i = 0; i < 20000; ++i) {
      const std::uint64_t one = 1;
      std::uint64_t count = 0;
      if (write(fd, &one, sizeof one) < 0) return -2;
      if (read(fd, &count, sizeof count) < 0) return -3;
      // only if the parent has not read it: else this read would wait
      if (write(fd, &one, sizeof one) < 0) return -4;
    }
  }
  return static_cast<int>(bells.size());
}

int flood(int fd, std::size_t bytes) {
  const std::string junk(64 * 1024, 'x');
  for (std::size_t written = 0; written < bytes;) {
    const auto n = write(fd, junk.data(), junk.size());
    if (n < 0) return -1;
    written += static_cast<std::size_t>(n);
  }
  return 1;
}

int close_output() { return close(STDOUT_FILENO) + close(STDERR_FILENO); }

int junk_everywhere() {
  const std::string junk(3000, '\xff');
  for (int fd = 3; fd < 64; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    [[maybe_unused]] auto n = write(fd, junk.data(), junk.size());
    n = write(fd, junk.data(), 8);
    char buffer[64];
    n = read(fd, buffer, sizeof buffer);
    [[maybe_unused]] const int failed = ftruncate(fd, 0);  // of the segment: it is sealed
  }
  return 1;
}

int twice(int n) { return 2 * n; }

// --- the tests
// --------------------------------------------------------------------------------------------------------

/// Whatever befell one worker, the pool gives right results.
void expect_in_order(remuda::process_pool& pool) {
  std::vector<remuda::future<int>> results;
  for (int i = 0; i < 100; ++i) results.push_back(pool.submit(twice, i));
  for (int i = 0; i < 100; ++i) {
    auto& f = results[static_cast<std::size_t>(i)];
    ASSERT_TRUE(f.wait_for(remuda::test::generous));
    EXPECT_EQ(f.get(), 2 * i);
  }
}

template <class Error, class T>
bool ends_with(remuda::future<T>& f) {
  if (!f.wait_for(remuda::test::generous)) return false;
  try {
    (void)f.get();
  } catch (const Error&) {
    return true;
  } catch (...) {
  }
  return false;
}

TEST(Promise31HostileWorker, ScribblersHitNobodyButThemselves) {
  const unsigned first = std::random_device{}();
  std::printf("seeds from %u\n", first);
  for (unsigned round = 0; round < 30; ++round) {
    // A pool of its own for the victims shares no worker with the scribblers, but the process.
    static remuda::process_pool honest{options(1)};
    remuda::process_pool pool{options(2)};
    std::vector<remuda::future<int>> bad;
    std::vector<remuda::future<int>> good;
    // What a scribbler writes may look as if its own answer were still to come.
    const remuda::task_options limited{.timeout = 1s, .retries = 0};
    for (unsigned i = 0; i < 4; ++i) {
      bad.push_back(pool.submit(limited, scribble, first + 10 * round + i));
      for (int k = 0; k < 10; ++k) good.push_back(honest.submit(twice, k));
    }
    for (auto& f : bad) ASSERT_TRUE(f.wait_for(remuda::test::generous)) << "seed " << first << ", round " << round;
    for (std::size_t i = 0; i < good.size(); ++i) EXPECT_EQ(good[i].get(), 2 * static_cast<int>(i % 10));
    pool.kill();
  }
}

TEST(Promise31HostileWorker, ACorruptWordCostsTheWorkerAndThePoolGoesOn) {
  remuda::process_pool pool{options(2)};
  auto bad = pool.submit(one_corrupt_word);
  EXPECT_TRUE(ends_with<remuda::worker_died>(bad));
  expect_in_order(pool);
}

TEST(Promise31HostileWorker, ATaskThatDeniesItsStartIsNotStartedForEver) {
  auto o = options(1);
  remuda::process_pool pool{o};
  auto bad = pool.submit(take_back_the_claim);
  EXPECT_TRUE(ends_with<remuda::worker_died>(bad));
  expect_in_order(pool);
}

TEST(Promise31HostileWorker, ATaskThatDeniesItsStartHasATimeLimitAllTheSame) {
  remuda::process_pool pool{options(2)};
  remuda::task_options limited;
  limited.timeout = 10ms;
  auto bad = pool.submit(limited, never_started);
  EXPECT_TRUE(ends_with<remuda::timeout_error>(bad));
  expect_in_order(pool);
}

TEST(Promise31HostileWorker, ABellThatIsMadeToBlockHoldsNobodyUp) {
  remuda::process_pool pool{options(2)};
  auto bad = pool.submit(empty_bell);
  std::atomic<int> called{0};
  for (int i = 0; i < 50; ++i) pool.submit(twice, i).on_done([&](const auto&) { ++called; });
  EXPECT_TRUE(eventually([&] { return called == 50; }));
  EXPECT_TRUE(eventually([&] { return bad.done(); }));
  expect_in_order(pool);
}

TEST(Promise31HostileWorker, OutputWithoutLineEndIsCutAndPassedOn) {
  constexpr std::size_t bytes = std::size_t{16} << 20;
  std::atomic<std::size_t> got{0};
  std::atomic<std::size_t> longest{0};
  auto o = options(2);
  o.on_output = [&](remuda::output_stream, unsigned, std::string_view line) {
    got += line.size();
    longest = std::max(longest.load(), line.size());
  };
  remuda::process_pool pool{o};
  auto out = pool.submit(flood, STDOUT_FILENO, bytes);
  auto err = pool.submit(flood, STDERR_FILENO, bytes);
  expect_in_order(pool);
  EXPECT_EQ(out.get() + err.get(), 2);
  pool.shutdown();
  EXPECT_EQ(got, 2 * bytes);
  EXPECT_LE(longest, std::size_t{64} * 1024);
}

TEST(Promise31HostileWorker, ClosedOutputAndJunkOnDescriptors) {
  auto o = options(2);
  o.on_output = [](remuda::output_stream, unsigned, std::string_view) {};
  remuda::process_pool pool{o};
  auto closed = pool.submit(close_output);
  EXPECT_EQ(closed.get(), 0);
  auto junk = pool.submit(junk_everywhere);
  EXPECT_TRUE(eventually([&] { return junk.done(); }));
  expect_in_order(pool);
}

// What was found in the memory of a worker that is gone by then says nothing about the one in its place.
TEST(Promise31HostileWorker, TheNextWorkerIsNotEndedForIt) {
  std::atomic<int> lines{0};
  auto o = options(1);
  o.on_output = [&](remuda::output_stream, unsigned, std::string_view) { ++lines; };
  remuda::process_pool pool{o};
  const auto stage = pool.make_buffer<int>(1);
  const auto go_to = [&stage](int n) { std::atomic_ref<int>(stage[0]).store(n); };
  remuda::future<int> next;
  std::atomic<bool> called{false};
  auto bad = pool.submit(answer_and_spoil, stage);
  bad.on_done([&](const auto&) {  // on the pool's own thread, between its look and what it does about it
    EXPECT_EQ(pool.submit(twice, 1).get(), 2) << "in the next worker";
    next = pool.submit(tell_and_hold, stage);
    EXPECT_TRUE(eventually([&] { return next.running(); }));
    called = true;
  });
  go_to(1);
  ASSERT_TRUE(eventually([&] { return called.load(); }));
  go_to(2);
  EXPECT_TRUE(eventually([&] { return lines == 1 || next.done(); }));
  go_to(3);
  EXPECT_EQ(next.get(), 7);
}

}  // namespace
