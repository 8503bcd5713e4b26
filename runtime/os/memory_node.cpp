#include "runtime/os/memory_node.hpp"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace remuda::os {
namespace {

// glibc has no wrapper, and libnuma would be one more library for two calls.
constexpr unsigned bits_of_word = sizeof(unsigned long) * CHAR_BIT;
constexpr unsigned most_nodes = 1024;  // the kernel's own bound

struct node_mask {
  unsigned long words[most_nodes / bits_of_word] = {};
};

}  // namespace

bool prefer_node(void* begin, std::size_t bytes, unsigned node) noexcept {
  if (node >= most_nodes) return false;
  node_mask mask;
  mask.words[node / bits_of_word] |= 1UL << (node % bits_of_word);
  return syscall(SYS_mbind, begin, bytes, MPOL_PREFERRED, mask.words, most_nodes + 1, 0) == 0;
}

void discard_pages(void* begin, std::size_t bytes) noexcept {
  if (reinterpret_cast<std::uintptr_t>(begin) >> 56 != 0) return;  // tags would go with the pages
  madvise(begin, bytes, MADV_DONTNEED);
}

std::optional<unsigned> preferred_node(const void* address) noexcept {
  node_mask mask;
  int mode = MPOL_DEFAULT;
  if (syscall(SYS_get_mempolicy, &mode, mask.words, most_nodes, address, MPOL_F_ADDR) != 0) return std::nullopt;
  if (mode != MPOL_PREFERRED) return std::nullopt;
  for (unsigned node = 0; node < most_nodes; ++node) {
    if ((mask.words[node / bits_of_word] >> (node % bits_of_word) & 1) != 0) return node;
  }
  return std::nullopt;
}

std::optional<unsigned> node_of_page(const void* address) noexcept {
  int node = -1;
  if (syscall(SYS_get_mempolicy, &node, nullptr, 0UL, address, MPOL_F_NODE | MPOL_F_ADDR) != 0) return std::nullopt;
  return node >= 0 ? std::optional(static_cast<unsigned>(node)) : std::nullopt;
}

}  // namespace remuda::os
