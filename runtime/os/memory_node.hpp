// Which NUMA node memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace remuda::os {

/// Pages of [begin, begin + bytes) that are not there yet come from this node if it has memory left, else from another.
/// Of a shared mapping of a memory file it is the file's property: it holds in every process, whoever touches a page
/// first. `begin` must be at the start of a page. False, and nothing changed: the node has no memory, or none that this
/// process may use, or the system does not do that, as in many containers; then pages come from the node of the CPU
/// that touches them. Blocks for the system call.
bool prefer_node(void* begin, std::size_t bytes, unsigned node) noexcept;

/// The node that prefer_node() set for the page at `address`; none where it was not called.
std::optional<unsigned> preferred_node(const void* address) noexcept;

/// The pages of [begin, begin + bytes), private memory whose contents nobody needs any more, are given back to the
/// system: the next touch decides anew which node each comes from. They read as zero then. `begin` must be at the start
/// of a page. Best effort: pages that are locked, of hugetlbfs or with memory tags (Arm) stay. Blocks for the system
/// call.
void discard_pages(void* begin, std::size_t bytes) noexcept;

/// The node that the page at `address`, which is there, came from; none where the system does not tell.
std::optional<unsigned> node_of_page(const void* address) noexcept;

}  // namespace remuda::os
