// How near CPUs and workers are to each other, by name.
#pragma once

#include "remuda/profile.hpp"
#include "remuda/topology.hpp"
#include "runtime/topo/placement.hpp"

namespace remuda::topo {

/// The nearest thing that the two share. What the machine does not tell is shared by none, but CPUs of which nothing is
/// known count as of one node, as they do in placement.
nearness nearness_of(const cpu& a, const cpu& b);

/// How many of a worker's rings have all their victims within this nearness: the first so many.
unsigned rings_within(const placement& workers, unsigned worker, nearness farthest);

}  // namespace remuda::topo
