// Questions that several tests ask a pool.
#pragma once

#include "remuda/error.hpp"
#include "remuda/thread_pool.hpp"

namespace remuda::test {

/// True once the pool refuses what comes from outside, because a shutdown has begun.
inline bool refuses(thread_pool& pool) {
  try {
    pool.post([] {});
    return false;
  } catch (const shutdown_error&) {
    return true;
  }
}

}  // namespace remuda::test
