#include "runtime/proc/shared_heap.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/memfd.hpp"

namespace remuda::detail {
namespace {

/// Asked for at a time: a signal undoes the step that it interrupts, and signals may come often.
constexpr std::size_t commit_step = std::size_t{4} << 20;

class no_memory final : public std::bad_alloc {
 public:
  explicit no_memory(const char* text) : text_(text) {}
  const char* what() const noexcept override { return text_; }

 private:
  const char* text_;  // a literal
};

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

/// REQUIRES: no overflow.
std::size_t whole_pages(std::size_t bytes) { return (bytes + page_size() - 1) / page_size() * page_size(); }

/// Null where there are no addresses.
std::byte* map_whole(int file, std::size_t bytes) noexcept {
  // The bare system call: ThreadSanitizer would touch its shadow of all of it. The offset lies on the stack, where of a
  // plain 0 only four of the eight bytes are written.
  const auto at = syscall(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, off_t{0});
  if (at == -1) return nullptr;
  auto* const base = reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(at));
  madvise(base, bytes, MADV_DONTDUMP);  // the dump of a sparse file would fill it
  return base;
}

}  // namespace

void write_block(wire_writer& to, const block_ptr& block) {
  buffer_port::place at{0, 0};
  if (block != nullptr) {
    if (to.buffers() == nullptr) {
      throw serialization_error(
          "a shared_buffer travels only as an argument or a result of a task, and not in an initializer or an "
          "exception");
    }
    to.buffers()->send(block);
    at = {block->offset, block->bytes};
  }
  to.write(&at, sizeof at);
}

block_ptr read_block(wire_reader& from) {
  buffer_port::place at{};
  from.read(&at, sizeof at);
  if (at.bytes == 0) return nullptr;
  if (from.buffers() == nullptr) throw serialization_error("a shared_buffer where none can be");
  return from.buffers()->find(at);
}

namespace {
std::size_t offset_of(const block_ptr& block) { return block->offset; }
}  // namespace

shared_heap::shared_heap(std::uint64_t pool, std::size_t bytes)
    : pool_(pool), owner_(getpid()), bytes_(whole_pages(bytes)) {
  if (bytes_ == 0) return;
  file_ = os::make_memfd("remuda-buffers", bytes_);
  free_.emplace(0, bytes_);
}

shared_heap::~shared_heap() {
  if (base_ != nullptr) syscall(SYS_munmap, base_, bytes_);
}

std::size_t shared_heap::used() const {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}

block_ptr shared_heap::allocate(std::size_t bytes) {
  if (getpid() != owner_) throw error("shared buffers are made in the process that made the pool, not in its children");
  if (bytes == 0) return nullptr;
  const std::size_t offset = take(bytes);
  std::unique_ptr<shared_block> block;
  try {
    commit(offset, bytes);
    block = std::make_unique<shared_block>(shared_block{pool_, base_ + offset, offset, bytes});
  } catch (...) {
    free(offset, bytes);
    throw;
  }
  // Where there is no memory for the count of references, the deleter is called at once.
  return {block.release(), [heap = shared_from_this()](const shared_block* b) noexcept {
            heap->free(b->offset, b->bytes);
            delete b;
          }};
}

/// A run of pages for so many bytes; of the lowest ones that are large enough.
std::size_t shared_heap::take(std::size_t bytes) {
  if (bytes > bytes_) throw no_memory("a shared_buffer larger than max_shared of the process pool's options");
  const std::size_t wanted = whole_pages(bytes);
  const std::lock_guard lock(mutex_);
  if (base_ == nullptr && (base_ = map_whole(file_.get(), bytes_)) == nullptr) {
    throw no_memory("no addresses for the shared buffers of a process pool: see max_shared of its options");
  }
  const auto found = std::find_if(free_.begin(), free_.end(), [wanted](const auto& r) { return r.second >= wanted; });
  if (found == free_.end()) {
    throw no_memory("the shared buffers of a process pool fill what max_shared of its options allows");
  }
  const std::size_t offset = found->first;
  used_.emplace(offset, wanted);
  auto run = free_.extract(found);
  run.key() += wanted;
  run.mapped() -= wanted;
  if (run.mapped() != 0) free_.insert(std::move(run));
  used_bytes_ += wanted;
  return offset;
}

void shared_heap::commit(std::size_t offset, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t n = std::min(commit_step, bytes - done);
    if (fallocate(file_.get(), 0, static_cast<off_t>(offset + done), static_cast<off_t>(n)) == 0) {
      done += n;
    } else if (errno != EINTR) {
      throw no_memory("the system has no memory for a shared_buffer");
    }
  }
}

/// [B4], [B3]: the pages go before anybody else can have the run.
void shared_heap::free(std::size_t offset, std::size_t bytes) noexcept {
  if (getpid() != owner_) return;
  const auto whole = static_cast<off_t>(whole_pages(bytes));
  int failed = 0;
  do {
    failed = fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), whole);
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) give_back(offset);  // else it stays out of use: it would not be all zeros
}

void shared_heap::give_back(std::size_t offset) noexcept {
  const std::lock_guard lock(mutex_);
  auto run = used_.extract(offset);  // moved over: nothing here may need memory
  used_bytes_ -= run.mapped();
  auto next = free_.upper_bound(offset);
  if (next != free_.end() && offset + run.mapped() == next->first) {
    run.mapped() += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += run.mapped();
      return;
    }
  }
  free_.insert(std::move(run));
}

void task_buffers::send(const block_ptr& block) {
  if (block->pool != pool_) throw serialization_error("a shared_buffer of another pool: make one of this pool");
  if (given_ == nullptr) given_ = std::make_unique<given_blocks>();
  given_->push_back(block);
}

block_ptr task_buffers::find(const place& at) {
  if (given_ != nullptr) {
    // A result may name many, and as often as its worker likes.
    if (!std::exchange(sorted_, true)) std::ranges::sort(*given_, {}, &offset_of);
    const auto found = std::ranges::lower_bound(*given_, at.offset, {}, &offset_of);
    if (found != given_->end() && offset_of(*found) == at.offset && (*found)->bytes == at.bytes) return *found;
  }
  throw serialization_error("the task returned a shared_buffer that it was not given");
}

mapped_heap::mapped_heap(int file, std::size_t bytes) noexcept {
  if (file < 0) return;
  base_ = map_whole(file, bytes);
  if (base_ != nullptr) bytes_ = bytes;
  close(file);
}

void mapped_heap::send(const block_ptr& block) {
  if (block->pool != 0) throw serialization_error("a shared_buffer that was made in a worker: make it in the parent");
}

block_ptr mapped_heap::find(const place& at) {
  if (base_ == nullptr) throw serialization_error("a worker has no addresses for the shared buffers of its pool");
  if (at.offset > bytes_ || at.bytes > bytes_ - at.offset) {
    throw serialization_error("a shared_buffer outside of the pool's memory");
  }
  return std::make_shared<shared_block>(
      shared_block{0, base_ + at.offset, static_cast<std::size_t>(at.offset), static_cast<std::size_t>(at.bytes)});
}

}  // namespace remuda::detail
