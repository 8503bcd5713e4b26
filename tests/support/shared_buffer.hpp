// What the tests of shared buffers have in common.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <numeric>
#include <remuda/process_pool.hpp>
#include <string>
#include <system_error>

namespace remuda::test {

using ints = shared_buffer<int>;

inline process_pool_options one_worker() {
  process_pool_options options;
  options.workers = 1;
  return options;
}

/// Bytes that the files of shared buffers take, of all pools of this process.
inline std::uint64_t memory_taken() {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().find("memfd:remuda-buffers") == std::string::npos) {
      continue;
    }
    struct stat about {};
    if (stat(entry.path().c_str(), &about) == 0) bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  return bytes;
}

inline std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

inline int fill(ints b, int from) {
  std::iota(b.begin(), b.end(), from);
  return static_cast<int>(getpid());
}

/// The elements of a buffer as flags between two processes.
inline std::atomic_ref<int> flag(const ints& b, std::size_t i) { return std::atomic_ref<int>(b[i]); }

/// Says that it runs, and goes on for ever.
inline void run_for_ever(ints b) {
  flag(b, 0) = 1;
  for (;;) flag(b, 1).fetch_add(1);
}

}  // namespace remuda::test
