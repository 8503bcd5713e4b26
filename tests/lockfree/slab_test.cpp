// The block allocator: sizes, reuse, what other threads free, and what is left when threads end.
//
// This file replaces operator new to count its calls, so it is a program of its own.
#include "runtime/lockfree/slab.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "remuda/detail/allocate.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/os/affinity.hpp"
#include "runtime/os/this_node.hpp"
#include "tests/support/process.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace {

remuda::detail::atomic<std::size_t> heap_calls{0};

void* counted(void* memory) {
  heap_calls.fetch_add(1, remuda::detail::std_sync::relaxed);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// None is inlined: g++ takes a malloc() or free() that meets the other operator for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) { return counted(std::malloc(bytes == 0 ? 1 : bytes)); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  void* memory = nullptr;
  return counted(posix_memalign(&memory, static_cast<std::size_t>(alignment), bytes) == 0 ? memory : nullptr);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

using remuda::detail::allocate;
using remuda::detail::block_alignment;
using remuda::detail::claim_list;
using remuda::detail::deallocate;
using remuda::detail::flush_remote_frees;
using remuda::detail::largest_block;
using remuda::detail::std_sync;
using remuda::detail::totals_of_slab;

constexpr std::array<std::size_t, 9> sizes{1, 64, 100, 192, 256, 300, 512, 1000, largest_block};

std::size_t heap_calls_now() { return heap_calls.load(std_sync::relaxed); }

std::vector<unsigned> own_cpus() {
  remuda::os::cpu_mask mask;
  EXPECT_EQ(remuda::os::get_affinity(mask), 0);
  return mask.cpus();
}

void on_a_thread_of(unsigned cpu, auto&& f) {
  std::thread([&] {
    ASSERT_EQ(remuda::os::pin_to_cpu(cpu), 0);
    f();
  }).join();
}

/// All of them on one node, as a heap goes on to a thread of its node only.
void on_another_thread(auto&& f) { on_a_thread_of(own_cpus().front(), f); }

/// Blocks of one size, with room for their addresses set aside so that only the blocks call the heap.
struct blocks {
  blocks(std::size_t block_size, std::size_t how_many) : size(block_size), all(how_many, nullptr) {}

  void allocate_all() {
    for (void*& p : all) p = allocate(size);
  }
  void deallocate_all() {
    for (void* const p : all) deallocate(p, size);
  }

  std::size_t size;
  std::vector<void*> all;
};

TEST(Slab, EverySizeIsAlignedAndItsBytesAreTheCallersAlone) {
  std::vector<std::pair<unsigned char*, std::size_t>> taken;
  for (std::size_t bytes = 0; bytes <= 2 * largest_block; ++bytes) {
    auto* const p = static_cast<unsigned char*>(allocate(bytes));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % block_alignment, 0u);
    std::memset(p, static_cast<int>(bytes % 251), bytes);
    taken.emplace_back(p, bytes);
  }
  for (const auto& [p, bytes] : taken) {
    for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(p[i], bytes % 251);
    deallocate(p, bytes);
  }
}

TEST(Slab, TheBlockFreedLastIsUsedNext) {
  for (const std::size_t size : sizes) {
    void* const p = allocate(size);
    deallocate(p, size);
    void* const q = allocate(size);
    EXPECT_EQ(p, q);
    deallocate(q, size);
  }
}

TEST(Slab, LargeBlocksGoToTheHeap) {
  const std::size_t before = heap_calls_now();
  deallocate(allocate(largest_block + 1), largest_block + 1);
  EXPECT_EQ(heap_calls_now(), before + 1);
}

TEST(Slab, NoHeapCallAfterWarmUp) {
  std::vector<blocks> work;
  work.reserve(sizes.size());
  for (const std::size_t size : sizes) work.emplace_back(size, 1000);
  const auto once = [&] {
    for (blocks& b : work) b.allocate_all();
    for (blocks& b : work) b.deallocate_all();
  };
  once();
  const std::size_t calls = heap_calls_now();
  const auto totals = totals_of_slab();
  for (int i = 0; i < 10; ++i) once();
  EXPECT_EQ(heap_calls_now(), calls);
  EXPECT_EQ(totals_of_slab().chunks, totals.chunks);
}

/// Runs `f` on a thread that lives as long as this object, because starting a thread calls the heap.
class helper_thread {
 public:
  template <class F>
  explicit helper_thread(F f)
      : thread_([this, f] {
          for (;;) {
            go_.acquire();
            if (ends_) return;
            f();
            done_.release();
          }
        }) {}
  ~helper_thread() {
    ends_ = true;
    go_.release();
    thread_.join();
  }

  void run_once() {
    go_.release();
    done_.acquire();
  }

 private:
  std::binary_semaphore go_{0};
  std::binary_semaphore done_{0};
  bool ends_ = false;
  std::thread thread_;
};

TEST(Slab, NoHeapCallAfterWarmUpWhenAnotherThreadFrees) {
  // Not a multiple of the batch, so that some blocks are left over for the flush.
  blocks work(128, 5001);
  helper_thread other([&] {
    work.deallocate_all();
    flush_remote_frees();
  });
  const auto once = [&] {
    work.allocate_all();
    other.run_once();
  };
  once();
  const std::size_t calls = heap_calls_now();
  for (int i = 0; i < 10; ++i) once();
  EXPECT_EQ(heap_calls_now(), calls);
}

TEST(Slab, BlocksForDifferentHeapsAndClassesAllComeBack) {
  blocks small(64, 1000);
  blocks big(1024, 1000);
  // Alternates between the classes, so that each free changes the target of the chain.
  helper_thread other([&] {
    for (std::size_t i = 0; i < small.all.size(); ++i) {
      deallocate(small.all[i], small.size);
      deallocate(big.all[i], big.size);
    }
    flush_remote_frees();
  });
  const auto once = [&] {
    small.allocate_all();
    big.allocate_all();
    other.run_once();
  };
  once();
  const auto totals = totals_of_slab();
  for (int i = 0; i < 10; ++i) once();
  EXPECT_EQ(totals_of_slab().chunks, totals.chunks);
}

TEST(Slab, AThreadThatEndsPushesWhatItKeptBack) {
  blocks work(256, 5);  // fewer than a batch
  work.allocate_all();
  const std::set<void*> freed_elsewhere(work.all.begin(), work.all.end());
  on_another_thread([&] { work.deallocate_all(); });

  // They come back before a new chunk is asked for.
  std::set<void*> come_back;
  std::vector<void*> taken;
  const std::size_t chunks = totals_of_slab().chunks;
  while (totals_of_slab().chunks == chunks) {
    taken.push_back(allocate(work.size));
    if (freed_elsewhere.contains(taken.back())) come_back.insert(taken.back());
  }
  EXPECT_EQ(come_back, freed_elsewhere);
  for (void* const p : taken) deallocate(p, work.size);
}

TEST(Slab, NewThreadsGoOnWithTheHeapsAndBlocksOfEndedOnes) {
  const auto use = [] {
    blocks work(512, 300);
    work.allocate_all();
    work.deallocate_all();
  };
  on_another_thread(use);
  const auto totals = totals_of_slab();
  for (int i = 0; i < 100; ++i) on_another_thread(use);
  EXPECT_EQ(totals_of_slab().heaps, totals.heaps);
  EXPECT_EQ(totals_of_slab().chunks, totals.chunks);
}

TEST(Slab, AThreadFindsTheHeapOfAnEndedOneOfItsNodeAndNoOther) {
  constexpr std::size_t size = 192;
  std::map<unsigned, void*> block_of;  // by node; the last one freed, so the first that the heap's next owner gets
  for (int round = 0; round < 2; ++round) {
    for (const unsigned cpu : own_cpus()) {
      on_a_thread_of(cpu, [&] {
        void* const p = allocate(size);
        deallocate(p, size);
        EXPECT_EQ(block_of.emplace(remuda::os::this_node(), p).first->second, p) << "on CPU " << cpu;
      });
    }
  }
  std::set<void*> different;
  for (const auto& [node, p] : block_of) different.insert(p);
  EXPECT_EQ(different.size(), block_of.size());
}

TEST(Slab, AThreadThatOnlyFreesNeedsNoHeap) {
  blocks work(64, 100);
  work.allocate_all();
  const auto totals = totals_of_slab();
  on_another_thread([&] { work.deallocate_all(); });
  EXPECT_EQ(totals_of_slab().heaps, totals.heaps);
}

/// A thread_local that is made before its thread first uses the allocator, and so is destroyed after the thread has let
/// go of its heap.
struct late_user {
  ~late_user() {
    deallocate(of_this_thread, 200);
    deallocate(of_another_thread, 200);
    void* const p = allocate(200);
    std::memset(p, 1, 200);
    deallocate(p, 200);
  }
  void* of_this_thread = nullptr;
  void* of_another_thread = nullptr;
};

TEST(Slab, ThreadLocalDestructorsMayStillAllocateAndFree) {
  const auto use = [](void* of_another_thread) {
    static thread_local late_user user;
    user.of_this_thread = nullptr;
    user.of_another_thread = of_another_thread;
    user.of_this_thread = allocate(200);
  };
  // Many times: what were lost each time would show as growth.
  on_another_thread([&, p = allocate(200)] { use(p); });
  const auto totals = totals_of_slab();
  for (int i = 0; i < 1000; ++i) {
    on_another_thread([&, p = allocate(200)] { use(p); });
  }
  EXPECT_EQ(totals_of_slab().heaps, totals.heaps);
  EXPECT_LE(totals_of_slab().chunks, totals.chunks + 1);  // the heaps of the two threads fill up unequally
}

/// A static object outlives even the thread_local ones of the main thread.
struct static_user {
  ~static_user() {
    deallocate(p, 64);
    void* const again = allocate(64);
    deallocate(again, 64);
    _exit(again != nullptr ? destroyed : 1);
  }
  static constexpr int destroyed = 42;
  void* p = nullptr;
};

TEST(Slab, StaticDestructorsMayStillAllocateAndFree) {
  const auto result = remuda::test::in_child([]() -> std::string {
    static static_user user;
    user.p = allocate(64);
    std::exit(0);
  });
  EXPECT_EQ(result.exit_code, static_user::destroyed) << result;
}

TEST(Slab, AChildOfForkAllocatesWhateverItsParentsThreadsWereDoing) {
  remuda::detail::atomic<bool> stop{false};
  blocks shared(64, 100);
  shared.allocate_all();
  std::thread busy([&] {
    blocks own(64, 100);
    while (!stop.load(std_sync::relaxed)) {
      own.allocate_all();
      own.deallocate_all();
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto result = remuda::test::in_child([&]() -> std::string {
      shared.deallocate_all();
      blocks own(64, 1000);
      for (int round = 0; round < 10; ++round) {
        own.allocate_all();
        for (void* const p : own.all) std::memset(p, round, own.size);
        own.deallocate_all();
      }
      return "";
    });
    EXPECT_TRUE(well(result)) << result;
  }
  stop.store(true, std_sync::relaxed);
  busy.join();
  shared.deallocate_all();
}

struct list_node {
  explicit list_node(unsigned its_home) { home.write(its_home); }

  std_sync::cell<list_node*> next_node;
  std_sync::cell<unsigned> home;
  remuda::detail::atomic<bool> claimed{true};
};

TEST(ClaimList, GivesTheFreeNodesOfAHomeNewestFirst) {
  claim_list<std_sync, list_node> list;
  EXPECT_EQ(list.claim(0), nullptr);
  std::array<list_node, 4> nodes{list_node(0), list_node(1), list_node(0), list_node(1)};
  for (list_node& n : nodes) list.add(&n);
  EXPECT_EQ(list.claim(0), nullptr) << "all are owned";
  for (const std::size_t i : {3U, 0U, 1U, 2U}) list.give_back(&nodes[i]);
  EXPECT_EQ(list.claim(0), &nodes[2]);
  EXPECT_EQ(list.claim(0), &nodes[0]);
  EXPECT_EQ(list.claim(0), nullptr);
  EXPECT_EQ(list.claim(2), nullptr);
  EXPECT_EQ(list.claim(1), &nodes[3]);
  list.give_back(&nodes[3]);
  EXPECT_EQ(list.claim(1), &nodes[3]);
  EXPECT_EQ(list.claim(1), &nodes[1]);
  EXPECT_EQ(list.claim(1), nullptr);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(Slab, AddressSanitizerSeesUseOfAFreeBlock) {
  auto* const p = static_cast<char*>(allocate(100));
  EXPECT_EQ(__asan_region_is_poisoned(p, 100), nullptr);
  EXPECT_TRUE(__asan_address_is_poisoned(p + 100));  // the block has room, the request had not
  deallocate(p, 100);
  EXPECT_TRUE(__asan_address_is_poisoned(p));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 99));
}
#endif

}  // namespace
