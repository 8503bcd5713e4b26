// From what a machine is, how it is set up, and what was measured on it, to settings for pools with a reason for each.
#pragma once

#include "remuda/profile.hpp"
#include "remuda/topology.hpp"
#include "runtime/topo/host.hpp"
#include "runtime/topo/measurements.hpp"

namespace remuda::topo {

/// `usable`: what a pool may use here. `measured`: null = nothing was; a setting that needs a measurement then keeps
/// the value that is built in, and its reason says so, as it does when there are doubts about what was measured. Only
/// settings and reasons of the profile are filled in: they follow from the arguments alone.
profile recommend(const topology& usable, const host& facts, const measurements* measured);

}  // namespace remuda::topo
