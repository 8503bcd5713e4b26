#include "runtime/lockfree/slab.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>

#include "remuda/config.hpp"
#include "remuda/detail/allocate.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/lockfree/remote_list.hpp"
#include "runtime/os/memory_node.hpp"
#include "runtime/os/this_node.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define REMUDA_SLAB_POISONS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REMUDA_SLAB_POISONS
#endif
#endif
#ifdef REMUDA_SLAB_POISONS
#include <sanitizer/asan_interface.h>
#endif

namespace remuda::detail {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{64} * 1024;
constexpr std::array<std::size_t, 7> class_bytes{64, 128, 192, 256, 384, 512, largest_block};
constexpr std::size_t class_count = class_bytes.size();

// Enough to make the CAS, and the miss on the other heap's line, cheap for each block.
constexpr std::size_t remote_batch = 32;

// Blocks are cut from a new chunk in pieces of this size, so that no single allocation pays for 16 page faults.
constexpr std::size_t carve_bytes = 4096;

/// The size class by the number of 64-byte units that a request needs.
constexpr auto class_of_units = [] {
  std::array<std::uint8_t, largest_block / block_alignment + 1> table{};
  for (std::size_t units = 0, c = 0; units < table.size(); ++units) {
    if (units * block_alignment > class_bytes[c]) ++c;
    table[units] = static_cast<std::uint8_t>(c);
  }
  return table;
}();

std::size_t class_of(std::size_t bytes) { return class_of_units[(bytes + block_alignment - 1) / block_alignment]; }

/// A free block. The link is in the first line, which the next user touches anyway, but not in its first words, whose
/// use after the free is the likeliest to be a mistake and the likeliest to be seen when they are poisoned.
struct alignas(block_alignment) block {
  std::byte unused[block_alignment - sizeof(void*)];
  std_sync::cell<block*> next;
};
static_assert(sizeof(block) == class_bytes.front());

using block_list = remote_list<std_sync, block>;

struct chunk;

struct heap {
  // Of the owner; while the heap is owned, the blocks of free_blocks are in the thread's own lists instead.
  struct range {
    std::byte* begin = nullptr;
    std::byte* end = nullptr;
  };
  std::array<block*, class_count> free_blocks{};
  std::array<range, class_count> uncut{};  // what is left of the newest chunk of each class
  chunk* chunks = nullptr;                 // keeps them reachable for a leak checker

  // Of the claim list.
  std_sync::cell<heap*> next_node;
  atomic<bool> claimed{true};
  std_sync::cell<unsigned> home;

  // Of the threads that free blocks of this heap.
  std::array<block_list, class_count> remote{};
};
static_assert(alignof(block_list) == cache_line && sizeof(block_list) == cache_line,
              "the owner's members and each remote list are on lines of their own");

/// The head of a chunk, found from a block by its address. Written once, before any block is handed out.
struct alignas(block_alignment) chunk {
  heap* owner;
  std::size_t size_class;
  chunk* next;
};

struct thread_state {
  heap* own = nullptr;
  std::array<block*, class_count> free_blocks{};  // of `own`; here to be one load nearer

  // The blocks freed for another heap and not yet pushed.
  block_list* target = nullptr;
  block* first = nullptr;
  block* last = nullptr;
  std::size_t count = 0;

  bool exited = false;  // the thread's exit hook has run; from now on nothing is kept
};

// Initial-exec: one instruction to reach also in a shared library, for a few bytes of the room that the dynamic loader
// reserves. No destructor, so that it can be used until the thread's very end.
[[gnu::tls_model("initial-exec")]] constinit thread_local thread_state self;

constinit claim_list<std_sync, heap> heaps;
constinit atomic<std::size_t> heaps_made{0};  // relaxed throughout: counts that order nothing
constinit atomic<std::size_t> chunks_made{0};

chunk* chunk_of(void* p) { return reinterpret_cast<chunk*>(reinterpret_cast<std::uintptr_t>(p) & ~(chunk_bytes - 1)); }

/// Makes a free block of the memory at `p`. Under AddressSanitizer all of it but the link is out of bounds then.
block* make_free([[maybe_unused]] std::size_t size_class, void* p) {
#ifdef REMUDA_SLAB_POISONS
  __asan_poison_memory_region(p, class_bytes[size_class]);
  __asan_unpoison_memory_region(&static_cast<block*>(p)->next, sizeof(block::next));
#endif
  return ::new (p) block;
}

/// Under AddressSanitizer, exactly the bytes asked for may be used.
void* make_used(block* b, [[maybe_unused]] std::size_t size_class, [[maybe_unused]] std::size_t bytes) {
#ifdef REMUDA_SLAB_POISONS
  __asan_poison_memory_region(b, class_bytes[size_class]);
  __asan_unpoison_memory_region(b, bytes);
#endif
  return b;
}

void give_back_heap() {
  heap* const h = self.own;
  if (h == nullptr) return;
  h->free_blocks = self.free_blocks;
  self.free_blocks = {};
  self.own = nullptr;
  heaps.give_back(h);
}

/// Its destructor is where a thread lets go of its heap. Objects destroyed later still find the allocator working.
struct exit_hook {
  void arm() const {}  // to call it is to construct it
  ~exit_hook() {
    self.exited = true;
    flush_remote_frees();
    give_back_heap();
  }
};

void arm_exit_hook() {
  static thread_local const exit_hook hook;
  if (!self.exited) hook.arm();
}

void take_heap() {
  const unsigned here = os::this_node();
  heap* h = heaps.claim(here);
  if (h == nullptr) {
    h = new heap;
    h->home.write(here);
    heaps.add(h);
    heaps_made.fetch_add(1, std_sync::relaxed);
  }
  self.own = h;
  self.free_blocks = h->free_blocks;
  arm_exit_hook();
}

void add_chunk(heap& h, std::size_t size_class) {
  auto* const memory = static_cast<std::byte*>(::operator new(chunk_bytes, std::align_val_t{chunk_bytes}));
  // malloc may have given these pages to a thread of another node before.
  os::discard_pages(memory, chunk_bytes);
  h.chunks = ::new (memory) chunk{&h, size_class, h.chunks};
  const std::size_t room = chunk_bytes - sizeof(chunk);
  h.uncut[size_class] = {memory + sizeof(chunk), memory + chunk_bytes - room % class_bytes[size_class]};
  chunks_made.fetch_add(1, std_sync::relaxed);
}

/// Blocks of memory that was not used before, lowest address first.
block* carve(heap& h, std::size_t size_class) {
  heap::range& uncut = h.uncut[size_class];
  if (uncut.begin == uncut.end) add_chunk(h, size_class);
  const std::size_t size = class_bytes[size_class];
  const std::size_t left = static_cast<std::size_t>(uncut.end - uncut.begin);
  std::byte* const end = uncut.begin + std::min(left, carve_bytes / size * size);
  block* list = nullptr;
  for (std::byte* p = end; p != uncut.begin;) {
    block* const b = make_free(size_class, p -= size);
    b->next.write(list);
    list = b;
  }
  uncut.begin = end;
  return list;
}

[[gnu::noinline]] void* allocate_slow(std::size_t size_class, std::size_t bytes) {
  if (self.own == nullptr) take_heap();
  block*& list = self.free_blocks[size_class];
  // A heap just taken may have blocks; the remote list comes before new memory, so that what flows from a producer to a
  // consumer comes back.
  if (list == nullptr) list = self.own->remote[size_class].take_all();
  if (list == nullptr) list = carve(*self.own, size_class);
  block* const b = list;
  list = b->next.read();
  if (self.exited) give_back_heap();
  return make_used(b, size_class, bytes);
}

[[gnu::noinline]] void deallocate_remote(const chunk& c, block* b) {
  block_list* const target = &c.owner->remote[c.size_class];
  if (self.target != target) {
    flush_remote_frees();
    arm_exit_hook();
    self.target = target;
  }
  if (self.count == 0) self.last = b;
  b->next.write(self.first);
  self.first = b;
  if (++self.count == remote_batch || self.exited) flush_remote_frees();
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > largest_block) [[unlikely]]
    return ::operator new(bytes, std::align_val_t{block_alignment});
  const std::size_t size_class = class_of(bytes);
  block* const b = self.free_blocks[size_class];
  if (b == nullptr) [[unlikely]]
    return allocate_slow(size_class, bytes);
  block* const next = b->next.read();
  self.free_blocks[size_class] = next;
  // Another thread may have written it last; fetched now, it is here when the next block is asked for.
  __builtin_prefetch(next, 1);
  return make_used(b, size_class, bytes);
}

void deallocate(void* p, std::size_t bytes) noexcept {
  if (bytes > largest_block) [[unlikely]]
    return ::operator delete(p, std::align_val_t{block_alignment});
  const chunk& c = *chunk_of(p);
  block* const b = make_free(c.size_class, p);
  if (c.owner != self.own) [[unlikely]]
    return deallocate_remote(c, b);
  b->next.write(self.free_blocks[c.size_class]);
  self.free_blocks[c.size_class] = b;
}

void flush_remote_frees() noexcept {
  if (self.count == 0) return;
  self.target->push(self.first, self.last);
  self.first = nullptr;
  self.count = 0;
}

slab_totals totals_of_slab() noexcept {
  return {heaps_made.load(std_sync::relaxed), chunks_made.load(std_sync::relaxed)};
}

}  // namespace remuda::detail
