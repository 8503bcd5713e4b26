// What the parent and the zygote say to each other: one struct a message, over a socket that keeps messages whole.
// Both are the same program, so that a layout needs no version.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <type_traits>

#include "runtime/proc/worker_settings.hpp"

namespace remuda::detail {

/// To the zygote. The descriptors that are there travel with it, in the order of worker_fds.
struct spawn_request {
  worker_settings settings;
  std::uint32_t descriptors = 0;  ///< bit i: worker_fds' member i is among them
};

inline constexpr int descriptors_of_worker = 5;

/// From the zygote.
struct zygote_report {
  enum kind : std::uint32_t {
    ready,         ///< the first message
    not_ready,     ///< or this one; status: an errno value
    spawned,       ///< lane, pid; with its pidfd
    spawn_failed,  ///< lane; status: an errno value
    died,          ///< lane, pid; status: a wait status
  } what = ready;
  std::uint32_t lane = 0;
  std::int32_t pid = 0;
  std::int32_t status = 0;
};

static_assert(std::is_trivially_copyable_v<spawn_request> && std::is_trivially_copyable_v<zygote_report>);

}  // namespace remuda::detail
