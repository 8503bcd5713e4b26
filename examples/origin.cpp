// Fifty small tasks on ten workers. Every result is printed by a callback as soon as it is there, and the main line
// goes on meanwhile.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <remuda/remuda.hpp>
#include <set>
#include <syncstream>
#include <thread>
#include <vector>

struct answer {
  int value;
  pid_t worker;  // the system's id of whoever ran the task, be it a thread or a process
};

answer task(int name) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return {name + 10, gettid()};
}

// Workers print at the same time; a std::osyncstream keeps their lines whole.
void print(const remuda::future<answer>& f) {
  std::osyncstream(std::cout) << "result " << f.get().value << " from worker " << f.get().worker << '\n';
}

int main() {
  const unsigned workers = 10;
  remuda::thread_pool pool{workers};

  std::vector<remuda::future<answer>> answers;
  for (int name = 0; name < 50; ++name) {
    answers.push_back(pool.submit(task, name));
    answers.back().on_done(print);
  }
  std::osyncstream(std::cout) << "main: " << answers.size() << " tasks submitted, going on\n";

  pool.shutdown();  // waits for all tasks and their callbacks

  std::set<pid_t> seen;
  for (const auto& a : answers) seen.insert(a.get().worker);
  std::cout << "main: " << answers.size() << " results from " << seen.size() << " workers\n";
  return seen.size() <= workers ? EXIT_SUCCESS : EXIT_FAILURE;
}
