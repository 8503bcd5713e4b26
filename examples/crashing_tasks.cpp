// Every seventh task crashes. Each crash costs that one task; the pool replaces the worker, and all other results come.

#include <cstdlib>
#include <iostream>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <vector>

int fragile(int n) {
  if (n % 7 == 0) std::abort();
  return n * n;
}

int main() {
  remuda::process_pool pool{2};

  std::vector<remuda::future<int>> results;
  for (int n = 1; n <= 42; ++n) results.push_back(pool.submit(fragile, n));

  int done = 0;
  int lost = 0;
  for (const auto& f : results) {
    try {
      f.get();
      ++done;
    } catch (const remuda::worker_died& e) {
      std::cout << e.what() << '\n';
      ++lost;
    }
  }
  std::cout << done << " results, " << lost << " tasks that crashed their worker\n";
  return done == 36 && lost == 6 ? EXIT_SUCCESS : EXIT_FAILURE;
}
