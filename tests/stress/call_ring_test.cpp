// A parent process against a worker process over shared memory: one thread of the parent sends, one receives, one
// withdraws what it can. Every call is either run once or withdrawn, and answered once; whoever sleeps is woken.
#include "runtime/lockfree/call_ring.hpp"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "remuda/config.hpp"
#include "remuda/detail/sync.hpp"
#include "runtime/lockfree/doorbell.hpp"
#include "tests/support/process.hpp"
#include "tests/support/stress.hpp"

namespace {

using remuda::detail::atomic;
using remuda::detail::call_look;
using remuda::detail::call_ring_caller;
using remuda::detail::call_ring_server;
using remuda::detail::doorbell;
using remuda::detail::slot_state;
using remuda::detail::std_sync;
using remuda::test::child_result;
using remuda::test::in_child;

enum class body_kind : std::uint32_t { call = 1, value, skipped };

struct alignas(remuda::cache_line) slot {
  atomic<std::uint32_t> word;
  body_kind kind;
  std::uint64_t argument;
  std::uint64_t result;
};
static_assert(sizeof(slot) == remuda::cache_line);

constexpr std::uint32_t most_slots = 256;
constexpr std::uint32_t the_sleeper = 1;

/// Many times what a whole case takes, and less than the time limit of a test.
constexpr std::chrono::seconds long_enough{100};

struct segment {
  alignas(remuda::cache_line) doorbell<std_sync> server_bell;
  alignas(remuda::cache_line) doorbell<std_sync> receiver_bell;
  alignas(remuda::cache_line) atomic<bool> quit;           // the parent has seen enough
  alignas(remuda::cache_line) atomic<std::uint64_t> hint;  // the parent's tail, for a worker that means harm
  slot slots[most_slots];
};

/// A segment in zeroed memory that children share.
class shared_segment {
 public:
  shared_segment()
      : memory_(mmap(nullptr, sizeof(segment), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    segment_ = ::new (memory_) segment{};
  }
  ~shared_segment() { munmap(memory_, sizeof(segment)); }
  shared_segment(const shared_segment&) = delete;
  shared_segment& operator=(const shared_segment&) = delete;

  segment& get() const { return *segment_; }
  segment* operator->() const { return segment_; }

 private:
  void* memory_;
  segment* segment_;
};

/// Does something else than going on at places that differ from thread to thread.
class disturbance {
 public:
  explicit disturbance(unsigned seed) : random_(seed) {}

  void maybe_yield() {
    if (random_() % 32 == 0) std::this_thread::yield();
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  std::minstd_rand random_;
};

/// Polls `found` for a while that differs, then sleeps on the bell, until it is true.
template <class Found>
void await(doorbell<std_sync>& bell, disturbance& chance, Found&& found) {
  for (;;) {
    for (std::uint64_t turns = chance.below(64); turns > 0; --turns) {
      if (found()) return;
      std_sync::pause();
    }
    const std::uint32_t word = bell.announce(the_sleeper);
    if (found()) {
      bell.withdraw(the_sleeper);
      return;
    }
    syscall(SYS_futex, bell.address(), FUTEX_WAIT, word, nullptr, nullptr, 0);  // whatever it says, the loop goes on
  }
}

void ring(doorbell<std_sync>& bell) {
  if (bell.ring() != 0) syscall(SYS_futex, bell.address(), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::uint64_t result_of(std::uint64_t argument) { return argument * 3 + 1; }

/// The worker: answers `calls` calls.
std::string serve(segment& shared, std::uint32_t capacity, std::uint64_t calls) {
  call_ring_server<std_sync, slot> server(shared.slots, capacity);
  disturbance chance(1);
  while (server.position() != calls) {
    bool skipped = false;
    slot* taken = nullptr;
    await(shared.server_bell, chance, [&] {
      taken = server.take([&](slot& s) {
        if (s.kind != body_kind::call) shared.quit.store(true, std_sync::relaxed);
        s.kind = body_kind::skipped;
        skipped = true;
      });
      return taken != nullptr || skipped || shared.quit.load(std_sync::relaxed);
    });
    if (skipped) ring(shared.receiver_bell);
    if (shared.quit.load(std_sync::relaxed)) return "one of the two sides saw what it must not see";
    if (taken == nullptr) continue;
    if (taken->kind != body_kind::call) return "a body that is no call";
    if (taken->argument != server.position()) return "a call that is another position's";
    taken->kind = body_kind::value;
    taken->result = result_of(taken->argument);
    chance.maybe_yield();
    server.finish();
    ring(shared.receiver_bell);
  }
  return {};
}

/// What became of a call. Plain bytes, one array for each thread that writes.
using marks = std::vector<unsigned char>;

class parent {
 public:
  parent(segment& shared, std::uint32_t capacity, std::uint64_t calls)
      : shared_(shared), calls_(calls), caller_(shared.slots, capacity), withdrawn_(calls), kinds_(calls) {}

  void send() {
    disturbance chance(2);
    for (std::uint64_t call = 0; call < calls_; ++call) {
      while (caller_.full()) {
        if (stopped()) return;
        std::this_thread::yield();
      }
      slot& next = caller_.next();
      next.kind = body_kind::call;
      next.argument = call;
      if (caller_.publish() != call) return fail();
      // now and then a few calls share one ring of the bell
      if (chance.below(4) != 0 || call + 1 == calls_ || caller_.full()) ring(shared_.server_bell);
      chance.maybe_yield();
    }
  }

  void receive() {
    disturbance chance(3);
    for (std::uint64_t call = 0; call < calls_; ++call) {
      call_look look{};
      await(shared_.receiver_bell, chance, [&] {
        look = caller_.look();
        return look != call_look::nothing || stopped();
      });
      if (stopped()) return;
      if (look != call_look::done || caller_.tail() != call) return fail();
      const slot& front = caller_.front();
      if (front.argument != call) return fail();
      if (front.kind != body_kind::skipped && (front.kind != body_kind::value || front.result != result_of(call))) {
        return fail();
      }
      kinds_[call] = static_cast<unsigned char>(front.kind);
      caller_.release();
      chance.maybe_yield();
    }
  }

  /// Withdraws at random what lies between tail and head, most often near to the server.
  void withdraw() {
    disturbance chance(4);
    for (std::uint64_t tail = 0; tail < calls_ && !stopped(); tail = caller_.tail()) {
      const std::uint64_t call = tail + chance.below(chance.below(caller_.capacity()) + 1);
      if (call < calls_ && caller_.withdraw(call)) {
        if (withdrawn_[call]++ != 0) return fail();
        has_withdrawn_.store(true, std_sync::relaxed);
      }
      for (std::uint64_t turns = chance.below(128); turns > 0; --turns) std_sync::pause();
      chance.maybe_yield();
    }
  }

  bool has_withdrawn() const { return has_withdrawn_.load(std_sync::relaxed); }

  /// Ends the threads above, if they have not ended: the worker is gone.
  void stop() {
    stopped_.store(true, std_sync::seq_cst);
    ring(shared_.receiver_bell);
  }

  void check() const {
    EXPECT_FALSE(failed_.load(std_sync::relaxed));
    std::uint64_t wrong = 0;
    std::uint64_t withdrawn = 0;
    for (std::uint64_t call = 0; call < calls_; ++call) {
      const auto expected = withdrawn_[call] != 0 ? body_kind::skipped : body_kind::value;
      wrong += kinds_[call] != static_cast<unsigned char>(expected);
      withdrawn += withdrawn_[call];
    }
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(caller_.tail(), calls_);
    EXPECT_GT(withdrawn, 0u) << "there was no race";
    EXPECT_LT(withdrawn, calls_) << "there was no race";
  }

 private:
  bool stopped() const { return stopped_.load(std_sync::seq_cst); }
  void fail() {
    failed_.store(true, std_sync::relaxed);
    shared_.quit.store(true, std_sync::relaxed);
    ring(shared_.server_bell);
    stop();
  }

  segment& shared_;
  const std::uint64_t calls_;
  call_ring_caller<std_sync, slot> caller_;
  marks withdrawn_;  // the withdrawing thread's
  marks kinds_;      // the receiver's
  atomic<bool> has_withdrawn_{false};
  atomic<bool> stopped_{false};
  atomic<bool> failed_{false};
};

void each_call_is_answered_once(std::uint32_t capacity, std::uint64_t calls) {
  const shared_segment shared;
  parent all(shared.get(), capacity, calls);
  std::thread sender([&] { all.send(); });
  std::thread receiver([&] { all.receive(); });
  std::thread withdrawer([&] { all.withdraw(); });
  EXPECT_TRUE(remuda::test::eventually([&] { return all.has_withdrawn(); })) << "before there is a worker";
  const child_result worker = in_child([&] { return serve(shared.get(), capacity, calls); }, long_enough);
  EXPECT_TRUE(well(worker)) << worker;
  if (!well(worker)) all.stop();
  sender.join();
  receiver.join();
  withdrawer.join();
  all.check();
}

TEST(CallRingStress, OneSlot) { each_call_is_answered_once(1, remuda::test::scaled(50'000)); }

TEST(CallRingStress, FewSlots) { each_call_is_answered_once(4, remuda::test::scaled(100'000)); }

TEST(CallRingStress, ManySlots) { each_call_is_answered_once(most_slots, remuda::test::scaled(1'000'000)); }

/// The worker: writes what it likes about where the parent is.
std::string harm(segment& shared, std::uint32_t capacity) {
  disturbance chance(5);
  while (!shared.quit.load(std_sync::relaxed)) {
    const std::uint64_t position = shared.hint.load(std_sync::relaxed) + chance.below(2 * capacity);
    const auto lap = static_cast<std::uint32_t>(position / capacity);
    shared.slots[position % capacity].word.store(lap << 3 | static_cast<std::uint32_t>(chance.below(8)),
                                                 std_sync::relaxed);
    chance.maybe_yield();
  }
  return {};
}

/// Whatever the worker writes, the receiver passes only what was sent, once and in order, and finds the sender's notes.
TEST(CallRingStress, AWorkerThatMeansHarmGetsNowhere) {
  constexpr std::uint32_t capacity = 4;
  constexpr std::uint64_t calls = remuda::test::scaled(5'000);
  const shared_segment shared;
  call_ring_caller<std_sync, slot> caller(shared->slots, capacity);
  std::vector<std::uint64_t> notes(calls);  // plain: ordered by the ring or, for ThreadSanitizer, a data race
  std::uint64_t unordered = 0;
  std::uint64_t corrupt = 0;

  std::thread sender([&] {
    disturbance chance(6);
    for (std::uint64_t call = 0; call < calls; ++call) {
      while (caller.full() && caller.tail() < calls) std::this_thread::yield();  // a broken tail fails, and ends, too
      // Now and then the receiver gets everything, and waits for a call while the worker answers it.
      if (chance.below(4) == 0) {
        while (caller.tail() < call) std::this_thread::yield();
        chance.maybe_yield();
      }
      notes[call] = call + 1;
      caller.publish();
    }
  });
  std::thread receiver([&] {
    while (caller.tail() < calls) {
      const std::uint64_t call = caller.tail();
      shared->hint.store(call, std_sync::relaxed);
      const call_look look = caller.look();
      corrupt += look == call_look::corrupt;
      if (look == call_look::done) {
        unordered += notes[call] != call + 1;
        caller.release();
      } else {
        std::this_thread::yield();
      }
    }
    shared->quit.store(true, std_sync::relaxed);
  });
  const child_result worker = in_child([&] { return harm(shared.get(), capacity); }, long_enough);
  EXPECT_TRUE(well(worker)) << worker;
  sender.join();
  receiver.join();
  EXPECT_EQ(caller.head(), calls);
  EXPECT_EQ(unordered, 0u);
  EXPECT_GT(corrupt, 0u) << "there was no harm";
}

}  // namespace
