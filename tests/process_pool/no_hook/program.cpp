// Makes a process pool without the hook before main(). Prints the error that it gets, or the result of a task.
// program zygote|fork|entry
#include <cstdio>
#include <cstring>
#include <exception>
#include <remuda/process_entry.hpp>
#include <remuda/process_pool.hpp>

int main(int argc, char** argv) {
  const char* const how = argc > 1 ? argv[1] : "";
  if (std::strcmp(how, "entry") == 0) remuda::process_entry(argc, argv);
  remuda::process_pool_options options;
  options.workers = 1;
  if (std::strcmp(how, "fork") == 0) options.start = remuda::start_method::fork;
  try {
    remuda::process_pool pool{options};
    std::printf("%d\n", pool.submit([](int n) { return 2 * n; }, 21).get());
    return 0;
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
