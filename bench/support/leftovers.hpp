// A turn that leaves a child or a descriptor behind would be paid for by the next one, and is a fault anyway.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "bench/support/latency.hpp"

namespace bench {

inline auto open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

/// measure, which fails when it did not tidy up. Only for measurements that run when this process has no children.
template <class Measure>
auto leaving_nothing(Measure measure) {
  return [measure = std::move(measure)] {
    const auto before = open_descriptors();
    const counters result = measure();
    const auto more = open_descriptors() - before;
    if (more > 0) throw std::runtime_error("left " + std::to_string(more) + " descriptors open");
    siginfo_t child{};
    if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD) {
      throw std::runtime_error("left a child process behind");
    }
    return result;
  };
}

}  // namespace bench
