// What an executable linked with --wrap=main runs in place of main(): the way into a zygote, and else the main() of the
// program. An archive of its own, because a shared libremuda cannot name the main() of the program.
//
// The name of process_entry() is weak: a program that makes no process pool does not get the code behind it linked in.
#include "remuda/process_entry.hpp"

namespace remuda {

[[gnu::weak]] void process_entry(int argc, char** argv) noexcept;

}  // namespace remuda

// The linker's names, which C++ keeps for the implementation.
extern "C" int remuda_main_of_program(int argc, char** argv, char** environment) __asm__("__real_main");
extern "C" int remuda_main(int argc, char** argv, char** environment) __asm__("__wrap_main");

int remuda_main(int argc, char** argv, char** environment) {
  if (&remuda::process_entry != nullptr) remuda::process_entry(argc, argv);
  return remuda_main_of_program(argc, argv, environment);
}
