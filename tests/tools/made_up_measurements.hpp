// Made-up measurements for tests.
#pragma once

#include "runtime/topo/measurements.hpp"

namespace remuda::tool {

inline topo::summary steady(double value, unsigned repeats = 1000) {
  return {value, value * 0.98, value * 1.02, value * 1.1, repeats};
}

// Every thing measured, and no reason for doubt.
inline topo::measurements quiet_machine() {
  topo::measurements m;
  m.taken_at = "2030-01-02T03:04:05Z";
  m.seconds = 20;
  m.cpus = {0, 1};
  m.core_to_core = {{}, steady(100), steady(100), {}};
  m.pause = steady(17);
  m.futex_call = steady(5'000);
  m.wake_hot = steady(20'000);
  m.wake_cold = steady(50'000);
  m.ring_round_trip = steady(250);
  m.steals = {{"l3", steady(80)}};
  m.memory = {{0, 0, steady(90), steady(1.2e10)}};
  m.jitter = {{0, 0.001, 50'000, 3}, {1, 0.002, 60'000, 4}};
  return m;
}

}  // namespace remuda::tool
