// The driver that every model program shares: NAME_model CASE runs one case, NAME_model --list prints one case a line.
//
// A case whose name begins with "good" is the code as it ships and must end with status 0; every other case is a
// mutant, the same code with one order weakened or one step left out, and must end with status 1. So a test harness
// needs only the list. With --history after the case, the interleaving that leads to the fault is printed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <ostream>
#include <span>
#include <streambuf>

#include "tests/model/sync_relacy.hpp"

// relacy replaces the unsized forms only, and the library's sized ones need not call them. Not inline: a model program
// is one source file.
void operator delete(void* p, std::size_t) noexcept { ::operator delete(p); }
void operator delete[](void* p, std::size_t) noexcept { ::operator delete[](p); }

namespace remuda::model {

enum exit_status { nothing_found = 0, fault_found = 1, usage_error = 2 };

struct options {
  bool history = false;
};

/// Seconds for a model of some 60 operations, and a hundred times what the mutants take.
inline constexpr rl::iteration_t default_iterations = 300'000;

/// Discards what it is given. Not a string stream: it must not allocate while relacy owns operator new.
class null_buffer : public std::streambuf {
  int overflow(int c) override { return c; }
};

template <class Model>
bool finds_nothing(rl::test_params& params, const options& opt) {
  null_buffer nothing;
  std::ostream quiet(&nothing);
  params.output_stream = opt.history ? &std::cout : &quiet;
  params.progress_stream = &quiet;
  return rl::simulate<Model>(params);
}

/// Random interleavings: the same ones in every run, so a model's verdict never changes from run to run.
template <class Model, rl::iteration_t Iterations = default_iterations>
bool random_search(const options& opt) {
  rl::test_params params;
  params.search_type = rl::sched_random;
  params.iteration_count = Iterations;
  return finds_nothing<Model>(params, opt);
}

/// Every interleaving. Feasible for some ten atomic operations in all; a load may see the newest value or the one
/// before.
template <class Model>
bool full_search(const options& opt) {
  rl::test_params params;
  params.search_type = rl::sched_full;
  return finds_nothing<Model>(params, opt);
}

struct model_case {
  const char* name;
  bool (*finds_nothing)(const options&);
};

inline int model_main(int argc, char** argv, std::span<const model_case> cases) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const model_case& c : cases) std::puts(c.name);
    return nothing_found;
  }
  const bool history = argc == 3 && std::strcmp(argv[2], "--history") == 0;
  if (argc == 2 || history) {
    for (const model_case& c : cases) {
      if (std::strcmp(argv[1], c.name) == 0) return c.finds_nothing({history}) ? nothing_found : fault_found;
    }
  }
  std::fprintf(stderr, "usage: %s CASE [--history] | --list\n", argv[0]);
  return usage_error;
}

}  // namespace remuda::model
