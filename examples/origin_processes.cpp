// Fifty small tasks on three worker processes, with the code of origin.cpp: three process ids appear. (A worker that is
// kept from its CPU for a second gets no task: the others take its share.)

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <set>
#include <syncstream>
#include <thread>
#include <vector>

struct answer {
  int value;
  pid_t worker;
};

answer task(int name) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return {name + 10, getpid()};
}

void print(const remuda::future<answer>& f) {
  std::osyncstream(std::cout) << "result " << f.get().value << " from process " << f.get().worker << '\n';
}

int main() {
  const unsigned workers = 3;
  remuda::process_pool pool{workers};

  std::vector<remuda::future<answer>> answers;
  for (int name = 0; name < 50; ++name) {
    answers.push_back(pool.submit(task, name));
    answers.back().on_done(print);
  }
  std::osyncstream(std::cout) << "main: " << answers.size() << " tasks submitted, going on\n";

  pool.shutdown();  // waits for all tasks and their callbacks

  std::set<pid_t> seen;
  for (const auto& a : answers) seen.insert(a.get().worker);
  std::cout << "main: " << answers.size() << " results from " << seen.size() << " processes\n";
  return seen.size() <= workers && !seen.contains(getpid()) ? EXIT_SUCCESS : EXIT_FAILURE;
}
