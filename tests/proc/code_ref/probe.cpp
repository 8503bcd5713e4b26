// The other process.
//   probe name                        prints the name of a function of its own, which answers 42
//   probe call REF                    prints what the function of that name answers
//   probe learn MODULE PATH ID REF    the same after learning a module; ID in hexadecimal
// Exit 3 and a text on stderr: an error of remuda.
#include <cstdint>
#include <iostream>
#include <string>

#include "remuda/error.hpp"
#include "runtime/proc/code_ref.hpp"

namespace {

int own_answer() { return 42; }

std::vector<std::byte> bytes_of(const std::string& hexadecimal) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

int run(const std::vector<std::string>& words) {
  if (words.at(0) == "name") {
    std::cout << remuda::detail::code_ref_of(&own_answer);
    return 0;
  }
  if (words[0] == "learn") {
    const auto module = static_cast<std::uint16_t>(std::stoul(words.at(1)));
    remuda::detail::learn_module(module, {words.at(2), bytes_of(words.at(3))});
  }
  const void* const address = remuda::detail::resolve(std::stoull(words.back()));
  std::cout << reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(address))();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const remuda::error& e) {
    std::cerr << e.what();
    return 3;
  }
}
