#include "runtime/proc/segment.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/os/error.hpp"

namespace remuda::detail {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

segment_layout::segment_layout(std::uint32_t ring_capacity, std::size_t argument_bytes, std::size_t result_bytes)
    : capacity(ring_capacity),
      slots(whole_pages(sizeof(segment_header))),
      arguments(whole_pages(slots + ring_capacity * sizeof(call_slot))),
      results(whole_pages(arguments + argument_bytes)),
      total(whole_pages(results + result_bytes)) {}

segment::segment(const segment_layout& layout) : layout_(layout) {
  void* const p =
      mmap(nullptr, layout.total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) os::throw_errno(errno, "cannot reserve addresses for the memory shared with a worker");
  base_ = static_cast<std::byte*>(p);
}

segment::~segment() { munmap(base_, layout_.total); }

void segment::map(int fd) {
  if (!replace(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd)) {
    os::throw_errno(errno, "cannot map the memory shared with a worker");
  }
}

void segment::unmap() noexcept {
  // If it fails the old mapping stays, which is as safe.
  replace(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

bool segment::replace(int protection, int flags, int fd) noexcept {
  // The bare system call: ThreadSanitizer takes mmap() for a write to all of it, and so the looks of other threads for
  // races. They look at words of one mapping or of the other, and are written to expect that.
  // The offset lies on the stack, where of a plain 0 only four of the eight bytes are written.
  return syscall(SYS_mmap, base_, layout_.total, protection, flags | MAP_FIXED, fd, off_t{0}) != -1;
}

}  // namespace remuda::detail
