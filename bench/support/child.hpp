// A measurement made by another process, which prints its counters as lines "NAME VALUE", or one line "not_measured
// TEXT" that says what happened instead.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/support/latency.hpp"

namespace bench {

/// Seconds that another program may take for one turn: several times what the longest takes, so that one that hangs
/// costs its turn only. Then it is killed, with the processes that it has started.
inline constexpr int patience_with_child = 60;

/// One word of a shell's command line.
inline std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "' ";
}

/// Runs `command` to its end. Throws std::runtime_error with what it says instead of a result, or when it fails, does
/// not end or prints nothing.
inline counters measure_in_child(const std::vector<std::string>& command) {
  std::string line = "exec timeout --kill-after=1 " + std::to_string(patience_with_child) + ' ';
  for (const std::string& word : command) line += quoted(word);
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start " + command.front());
  std::string text;
  for (int c = 0; (c = std::getc(pipe)) != EOF;) text += static_cast<char>(c);
  const int status = pclose(pipe);

  counters result;
  std::istringstream in(text);
  std::string name;
  for (double value = 0; in >> name;) {
    if (name == "not_measured") {
      std::getline(in >> std::ws, text);
      throw std::runtime_error(text);
    }
    if (in >> value) result[name] = value;
  }
  constexpr int timed_out = 124;
  if (WIFEXITED(status) && WEXITSTATUS(status) == timed_out) {
    throw std::runtime_error("did not end within " + std::to_string(patience_with_child) + " s");
  }
  if (status != 0 || result.empty()) throw std::runtime_error(command.front() + " failed or measured nothing");
  return result;
}

/// As measure_in_child() prints and reads it.
inline void print_counters(const counters& all) {
  for (const auto& [name, value] : all) std::cout << name << ' ' << value << '\n';
  std::cout.flush();
}

inline std::string own_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace bench
