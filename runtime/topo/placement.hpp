// Which CPU each worker gets, and in which order a worker asks the others for work.
//
// CPUs: compact. The first thread of every core comes before any second thread, as two busy threads of one core slow
// each other down: on hybrid machines to less than what a slow core of its own gives. Fast cores come before slow ones,
// so that a pool smaller than the machine is a fast one. Among cores of a kind the nearest come first: the node with
// most usable cores is filled, cache by cache, then the node nearest to it. What a pool passes around is cache lines
// (stolen jobs, results, wakes), and a line that stays inside one L3 arrives several times sooner than one from another
// node. A program that wants all memory controllers rather than short ways runs one pool per node. More workers than
// CPUs: the same order again.
//
// Victims: rings around a worker, nearest first: same core (the same CPU included), same L2, same L3, same package
// within the node, same NUMA node, other nodes of the package, then the remaining nodes by distance. Rings without
// members are left out. Together the rings of a worker hold every other worker once.
//
// Memory: workers are laid out once per node in use, sorted by nearness as seen from that node. In this order all that
// is at most so far from a worker is one stretch, which holds the stretch of what is nearer. A ring is a stretch
// without the one inside, two numbers each, so that 1000 workers take kilobytes where n * n ids would take megabytes.
// Time: one sort of the CPUs and one of the workers; a pool computes it at its start.
#pragma once

#include <cstddef>
#include <vector>

#include "remuda/topology.hpp"

namespace remuda::topo {

/// A part of the layout that leaves out an inner part. A view into its placement: valid as long as that one lives and
/// is not changed.
class victim_ring {
 public:
  std::size_t size() const { return before_ + after_; }

  /// The worker at place `i` < size(). Neighbours in the ring are near to each other.
  unsigned operator[](std::size_t i) const { return first_[i < before_ ? i : i + hole_]; }

 private:
  friend class placement;
  victim_ring(const unsigned* first, std::size_t before, std::size_t hole, std::size_t after)
      : first_(first), before_(before), hole_(hole), after_(after) {}

  const unsigned* first_;
  std::size_t before_;
  std::size_t hole_;
  std::size_t after_;
};

class placement {
 public:
  /// REQUIRES: the topology has a CPU.
  placement(const topology& machine, unsigned workers);

  unsigned workers() const { return static_cast<unsigned>(cpus_.size()); }

  /// Where a worker belongs.
  const cpu& cpu_of(unsigned worker) const { return cpus_[worker]; }

  unsigned ring_count(unsigned worker) const { return first_stretch_[worker + 1] - first_stretch_[worker] - 1; }

  /// Ring `index` < ring_count(worker), nearest first. Never empty.
  victim_ring ring(unsigned worker, unsigned index) const {
    const stretch& inner = stretches_[std::size_t{first_stretch_[worker]} + index];
    const stretch& outer = stretches_[std::size_t{first_stretch_[worker]} + index + 1];
    return {layout_.data() + outer.begin, inner.begin - outer.begin, inner.end - inner.begin, outer.end - inner.end};
  }

  /// Size of all that is kept, to hold the promise on memory.
  std::size_t bytes() const;

 private:
  struct stretch {  // of layout_
    unsigned begin;
    unsigned end;
  };

  std::vector<cpu> cpus_;         // by worker
  std::vector<unsigned> layout_;  // workers by nearness, once per node in use
  // Per worker: itself, then stretches that grow. first_stretch_ has one more entry than there are workers.
  std::vector<stretch> stretches_;
  std::vector<unsigned> first_stretch_;
};

}  // namespace remuda::topo
