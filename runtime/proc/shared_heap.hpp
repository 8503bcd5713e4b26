// The memory of shared buffers: one file for the pool, which the parent and every worker map whole.
//
// The file is sealed and sparse: made with the pool, it costs a descriptor until the first buffer. A block is a run of
// pages. Its memory is asked for before anybody gets its address, so that there is an error and no SIGBUS when there is
// none, and given back by punching a hole: a new block is all zeros.
//
// Who believes whom. A buffer travels as (offset, bytes). A worker believes the parent. The parent believes nothing: it
// keeps, with each task, pointers to the blocks that it was given (remote_part::given), and what comes back must be one
// of them, whole. Such a list is in private memory and holds what it names, so an offset names one block in it, and
// no number of a block has to travel. Free runs and counts of references are private to the parent too: what a worker
// may spoil is the contents of buffers (of all of them: there is one mapping).
//
// Invariants
//   [B1] A block is free only when no handle in the parent and no task's list has it.
//   [B2] A task's list is dropped by who owns the task's outcome (CRASH.md), after the result was read; where the task
//        is given up while its worker may still run it (time limit, forced cancelling), the list goes to the lane and
//        is dropped when that process is gone. So no worker that is obeying the rules has a block that is free.
//   [B3] A free run has no pages; the free runs and the blocks cover the file, and no two free runs touch.
//   [B4] The heap lives as long as its last block, the pool or not. A child that the user forked frees nothing: the
//        pages are the parent's.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "remuda/detail/shared_block.hpp"
#include "runtime/os/unique_fd.hpp"

namespace remuda::detail {

/// Of the parent. Any thread.
class shared_heap : public std::enable_shared_from_this<shared_heap> {
 public:
  /// `bytes` may be 0: no block can be had then. Throws std::system_error.
  shared_heap(std::uint64_t pool, std::size_t bytes);
  ~shared_heap();
  shared_heap(const shared_heap&) = delete;
  shared_heap& operator=(const shared_heap&) = delete;

  /// Null for 0 bytes. Throws std::bad_alloc, whose text says what is short; error in a forked child.
  block_ptr allocate(std::size_t bytes);

  int file() const { return file_.get(); }
  std::size_t bytes() const { return bytes_; }
  /// Bytes in blocks now, in whole pages.
  std::size_t used() const;

 private:
  using runs = std::map<std::size_t, std::size_t>;  // offset, bytes

  std::size_t take(std::size_t bytes);
  void commit(std::size_t offset, std::size_t bytes);
  void free(std::size_t offset, std::size_t bytes) noexcept;
  void give_back(std::size_t offset) noexcept;

  const std::uint64_t pool_;
  const pid_t owner_;
  const std::size_t bytes_;
  os::unique_fd file_;

  mutable std::mutex mutex_;  // all below
  std::byte* base_ = nullptr;
  runs free_;
  runs used_;
  std::size_t used_bytes_ = 0;
};

/// In the parent, for one task: what it is given, and what it may give back.
class task_buffers final : public buffer_port {
 public:
  task_buffers(std::uint64_t pool, std::unique_ptr<given_blocks>& given) : pool_(pool), given_(given) {}
  void send(const block_ptr& block) override;
  block_ptr find(const place& at) override;

 private:
  std::uint64_t pool_;
  std::unique_ptr<given_blocks>& given_;
  bool sorted_ = false;
};

/// In a worker.
class mapped_heap final : public buffer_port {
 public:
  /// Without the addresses for it the worker goes on, and tasks with buffers fail.
  mapped_heap(int file, std::size_t bytes) noexcept;
  void send(const block_ptr& block) override;
  block_ptr find(const place& at) override;

 private:
  std::byte* base_ = nullptr;  // mapped for the worker's life
  std::size_t bytes_ = 0;
};

}  // namespace remuda::detail
