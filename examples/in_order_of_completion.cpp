// Results in the order in which they arrive, whatever the order of submission.

#include <chrono>
#include <iostream>
#include <remuda/remuda.hpp>
#include <thread>
#include <vector>

int nap(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}

int main() {
  remuda::thread_pool pool{5};

  std::vector<remuda::future<int>> naps;
  for (int milliseconds : {250, 100, 200, 50, 150}) {
    std::cout << "submitted a nap of " << milliseconds << " ms\n";
    naps.push_back(pool.submit(nap, milliseconds));
  }
  for (const remuda::future<int>& f : remuda::as_completed(naps)) {
    std::cout << "awake after " << f.get() << " ms\n";
  }
}
