// Runs the program `remuda`.
#pragma once

#include <string>
#include <vector>

#include "run_program.hpp"

namespace tools_test {

inline finished run_remuda(std::vector<std::string> arguments, const std::function<void()>& prepare = {}) {
  arguments.insert(arguments.begin(), REMUDA_PROGRAM);
  return run_program(arguments, prepare);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace tools_test
