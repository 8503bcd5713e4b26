// Everything a program needs.
#pragma once

#include "remuda/combine.hpp"
#include "remuda/config.hpp"
#include "remuda/error.hpp"
#include "remuda/executor.hpp"
#include "remuda/future.hpp"
#include "remuda/map.hpp"
#include "remuda/stats.hpp"
#include "remuda/thread_pool.hpp"
#include "remuda/topology.hpp"
