// A program of somebody else: it sees the installed headers and library, nothing of the source tree.
#include <remuda/process_entry.hpp>
#include <remuda/remuda.hpp>
#include <remuda/wire.hpp>
#include <string>
#include <vector>

static_assert(remuda::travels<std::vector<std::string>>);

const bool before_main = remuda::detail::entry_is_linked();

int main() {
  remuda::thread_pool pool{2};
  return before_main && pool.submit([](int x) { return x + 1; }, 41).get() == 42 ? 0 : 1;
}
