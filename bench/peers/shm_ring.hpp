// A ring in shared memory between two processes that both spin: what any process pool can reach at best. A slot brings
// the question and takes the answer back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/support/forked_child.hpp"
#include "bench/support/shared_memory.hpp"
#include "remuda/detail/sync.hpp"

namespace bench {

template <std::size_t SlotBytes, std::size_t Slots>
class basic_shm_ring {
  using sync = remuda::detail::std_sync;

 public:
  static constexpr const char* name = "shm_ring";
  static constexpr std::size_t window = Slots;
  static constexpr std::size_t share = 1;

  basic_shm_ring() : child_([this] { serve(); }) {}

  pid_t pid() const { return child_.pid(); }
  void send() { send(nullptr, 0); }
  pid_t receive() {
    slot& s = ring_->at(received_ % Slots);
    while (s.word.load(sync::acquire) != done(received_)) sync::pause();
    ++received_;
    return s.answered_by;
  }
  pid_t ask() {
    send();
    return receive();
  }
  /// The bytes go through in as many slots as they need; the child copies them into memory of its own.
  pid_t ask_with(std::vector<std::uint8_t>&& bytes) {
    pid_t answered_by = -1;
    for (std::size_t at = 0; at < bytes.size();) {
      if (sent_ - received_ == Slots) answered_by = receive();
      const std::size_t n = std::min(bytes.size() - at, slot::room);
      send(bytes.data() + at, n);
      at += n;
    }
    while (received_ < sent_) answered_by = receive();
    return answered_by;
  }

 private:
  struct alignas(128) slot {
    static constexpr std::size_t room = SlotBytes - 16;
    remuda::detail::atomic<std::uint64_t> word{0};
    std::uint32_t size = 0;
    pid_t answered_by = 0;
    std::array<std::uint8_t, room> bytes;
  };
  static_assert(sizeof(slot) == SlotBytes);

  static std::uint64_t ready(std::uint64_t position) { return 2 * position + 1; }
  static std::uint64_t done(std::uint64_t position) { return 2 * position + 2; }

  void send(const std::uint8_t* bytes, std::size_t n) {
    slot& s = ring_->at(sent_ % Slots);
    s.size = static_cast<std::uint32_t>(n);
    if (n != 0) std::memcpy(s.bytes.data(), bytes, n);
    s.word.store(ready(sent_), sync::release);
    ++sent_;
  }

  void serve() {
    std::vector<std::uint8_t> own(std::size_t{1} << 20);
    const pid_t me = getpid();
    std::size_t filled = 0;
    for (std::uint64_t position = 0;; ++position) {
      slot& s = ring_->at(position % Slots);
      while (s.word.load(sync::acquire) != ready(position)) sync::pause();
      if (filled + s.size > own.size()) filled = 0;
      if (s.size != 0) std::memcpy(own.data() + filled, s.bytes.data(), s.size);
      filled += s.size;
      s.answered_by = me;
      s.word.store(done(position), sync::release);
    }
  }

  shared_memory<std::array<slot, Slots>> ring_;
  forked_child child_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

using shm_ring_peer = basic_shm_ring<128, 256>;
using chunked_ring_peer = basic_shm_ring<std::size_t{64} << 10, 8>;

}  // namespace bench
