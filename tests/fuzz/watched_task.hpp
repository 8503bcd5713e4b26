// A task whose outcome is compared with what its worker has answered.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>
#include <vector>

#include "remuda/process_pool.hpp"
#include "runtime/proc/call_slot.hpp"

namespace remuda::test {

using bytes = std::vector<std::byte>;

inline void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

template <class T>
bytes encoded(const T& value) {
  detail::vector_writer to;
  detail::wire_write(to, value);
  return to.take();
}

/// What a worker has answered to a task when the parent looks.
struct answer {
  detail::slot_kind kind{};
  bool in_order = false;  ///< to this task, with a payload where payloads are
  bytes payload;
};

struct watched_task {
  watched_task() = default;
  watched_task(const watched_task&) = delete;
  watched_task& operator=(const watched_task&) = delete;
  virtual ~watched_task() = default;
  virtual detail::state* handle() const = 0;
  detail::status now() const { return handle()->word.current(); }
  virtual bool same_value(const bytes& answered) const = 0;
  virtual std::exception_ptr error() const = 0;
  virtual void cancel(bool force) const = 0;
  virtual bool ask(unsigned how) const = 0;

  detail::remote_part* part = nullptr;
  bytes honest;  ///< an answer
  std::optional<answer> answered;
  unsigned callbacks = 0;
  bool cancels_next = false;
};

template <class T>
struct watched final : watched_task {
  future<T> f;
  detail::state* handle() const override { return f.state(); }
  std::exception_ptr error() const override { return f.error(); }
  void cancel(bool force) const override { f.cancel(force ? cancel_mode::force : cancel_mode::pending); }
  bool ask(unsigned how) const override {
    return how % 2 == 0 ? f.running() : f.wait_for(std::chrono::microseconds(1));
  }
  bool same_value(const bytes& answered) const override {
    detail::wire_reader in(answered.data(), answered.size());
    if constexpr (std::is_same_v<T, shared_buffer<int>>) {
      // A place: of this task's buffer, or of none.
      detail::buffer_port::place at{};
      in.read(&at, sizeof at);
      if (at.bytes == 0) return f.get().empty();
      const detail::block_ptr& block = detail::buffer_access::block(f.get());
      return at.offset == block->offset && at.bytes == block->bytes && encoded_place(*block) == honest;
    } else {
      return detail::wire_read<T>(in) == f.get();
    }
  }
  static bytes encoded_place(const detail::shared_block& block) {
    const detail::buffer_port::place at{block.offset, block.bytes};
    bytes out(sizeof at);
    std::memcpy(out.data(), &at, sizeof at);
    return out;
  }
};

}  // namespace remuda::test
