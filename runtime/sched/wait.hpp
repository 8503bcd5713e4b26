// Blocking, for the parts of the scheduler that do it.
#pragma once

#include <cstdint>

#include "remuda/detail/state.hpp"
#include "remuda/detail/sync.hpp"

namespace remuda::detail {

/// Before a thread blocks: if it is a worker, a spare thread takes over its CPU and its queue.
void give_up_seat();

/// Throws broken_pool_error if the state's pool was left behind by a fork(): nobody will complete it.
void refuse_if_forked(const state& s);
[[noreturn]] void throw_forked();

/// Sleeps while the 32-bit word of this process is `expected`, or until the deadline; perhaps for no time.
void sleep_on(const void* address, std::uint32_t expected, const deadline& until);

/// Blocks until `word` is no longer `seen`; false at the deadline. Whoever changes the word wakes all on its address.
bool wait_for_change(const atomic<std::uint32_t>& word, std::uint32_t seen, const deadline& until);

}  // namespace remuda::detail
