// Named points in the code of workers and zygotes at which tests let the process die or stop; CRASH.md has the list.
// They are there only where REMUDA_FAULT_POINTS is defined, as it is for the target remuda_faulty of the tests.
#pragma once

namespace remuda::detail {

enum class fault {
  // a worker
  at_start,             ///< its memory is mapped, and it has not looked for a call
  in_initializer,       ///< passed by the tests' own initializers
  before_claim,         ///< a call is there
  after_claim,          ///< the call is its own, and has not been looked at
  in_task,              ///< passed by the tests' own tasks
  before_publish,       ///< the result is written
  after_publish,        ///< the result can be seen, and nobody was woken
  answering_withdrawn,  ///< it has found a withdrawn call
  waiting_for_room,     ///< it has rung for room, and goes to sleep
  before_sleep,         ///< it has said that it sleeps
  // a zygote
  zygote_received,  ///< a request is read, and nothing is done about it
  zygote_forked,    ///< the worker is there, and not reported
  zygote_reaped,    ///< a worker is reaped, and its death not reported
};

#ifdef REMUDA_FAULT_POINTS
inline constexpr bool has_fault_points = true;
/// Dies or stops here if a test has armed the point (tests/support/faults.hpp).
void fault_point(fault point) noexcept;
#else
inline constexpr bool has_fault_points = false;
constexpr void fault_point(fault) noexcept {}
#endif

}  // namespace remuda::detail
