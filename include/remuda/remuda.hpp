// Everything a program needs, but for worker processes: <remuda/process_pool.hpp> is included by those who want it, as
// it brings cereal along.
#pragma once

#include "remuda/combine.hpp"
#include "remuda/config.hpp"
#include "remuda/error.hpp"
#include "remuda/executor.hpp"
#include "remuda/future.hpp"
#include "remuda/map.hpp"
#include "remuda/profile.hpp"
#include "remuda/stats.hpp"
#include "remuda/thread_pool.hpp"
#include "remuda/topology.hpp"
