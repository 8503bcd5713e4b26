// A program that is linked without the hook before main() and calls it itself.
#include <remuda/process_entry.hpp>

int main(int argc, char** argv) {
  const bool before = remuda::detail::entry_is_linked();
  remuda::process_entry(argc, argv);
  return !before && remuda::detail::entry_is_linked() ? 0 : 1;
}
