#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <string>

#include "remuda/error.hpp"

namespace remuda {
namespace {

std::string how(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return "ended with exit code " + std::to_string(WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  std::string text = "was killed by signal " + std::to_string(number);
  if (const char* name = sigabbrev_np(number)) text += std::string(" (SIG") + name + ")";
  return text;
}

}  // namespace

worker_died::worker_died(int wait_status, std::uint64_t task_id)
    : error("the worker process " + how(wait_status) +
            (task_id != 0 ? " while it ran task " + std::to_string(task_id) : std::string())),
      wait_status_(wait_status),
      task_id_(task_id) {}

std::optional<int> worker_died::exit_code() const noexcept {
  if (WIFSIGNALED(wait_status_)) return std::nullopt;
  return WEXITSTATUS(wait_status_);
}

std::optional<int> worker_died::signal() const noexcept {
  if (!WIFSIGNALED(wait_status_)) return std::nullopt;
  return WTERMSIG(wait_status_);
}

}  // namespace remuda
