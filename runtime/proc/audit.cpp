// Looks, now and then, whether a worker has written what no honest one writes into the words of calls that it owes an
// answer: without an end of the worker they would wait for ever. Supervisor.
#include <chrono>
#include <utility>

#include "runtime/os/futex.hpp"
#include "runtime/proc/process_core.hpp"

namespace remuda::detail {
namespace {

constexpr std::chrono::seconds between_looks{1};

/// REQUIRES: `sending` is held, so that no call is sent or withdrawn meanwhile.
bool lied_to(lane& l) {
  for (std::uint64_t p = l.ring.tail(); p < l.ring.head(); ++p) {
    const slot_state s = l.ring.state_at(p);
    if (l.task_at(p).load(std_sync::relaxed) == nullptr || p < l.ring.tail()) continue;  // received meanwhile
    if (s == slot_state::free || s == slot_state::corrupt || s == slot_state::withdrawn) return true;
    if (s != slot_state::taken || p == 0) continue;
    // It runs one at a time. The one before is looked at later, so that it is done by then if this one has begun.
    const slot_state before = l.ring.state_at(p - 1);
    if (before == slot_state::ready || before == slot_state::taken) return true;
  }
  return false;
}

}  // namespace

void process_core::audit() {
  const auto now = std::chrono::steady_clock::now();
  // relaxed: what the sender who has cleared it sent is seen by its kick
  // A sender may have done so before this thread set it once more: then what was sent is in flight.
  if (!watching_) watching_ = !unwatched_.load(std_sync::relaxed) || in_flight();
  if (now < next_audit_) return;
  next_audit_ = now + between_looks;
  watching_ = false;
  for (const auto& l : lanes_) {
    const std::lock_guard lock(l->sending);
    const std::uint64_t tail = l->ring.tail();
    const bool moved = std::exchange(l->audited_tail, tail) != tail;
    // On as long as there is something to do, and a whole look longer, so that a program that sends a task now and then
    // pays for that only once.
    watching_ = watching_ || moved || l->ring.in_flight() != 0;
    if (l->phase != lane_phase::open || l->ring.in_flight() == 0) continue;
    if (lied_to(*l)) {
      doom(*l);
    } else if (!moved && l->ring.state_at(tail) == slot_state::ready) {
      // It may have wiped out that it sleeps.
      os::futex_wake_shared(l->memory.header().worker.address(), os::futex_wake_all);
    }
  }
}

}  // namespace remuda::detail
