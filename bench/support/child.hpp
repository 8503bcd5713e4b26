// A measurement made by another process, which prints its counters as lines "NAME VALUE".
#pragma once

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/support/latency.hpp"

namespace bench {

/// Runs `command` to its end. Throws std::runtime_error when it fails or prints nothing.
inline counters measure_in_child(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) line += "'" + word + "' ";  // our own words: no quotes in them
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start " + command.front());
  std::string text;
  for (int c = 0; (c = std::getc(pipe)) != EOF;) text += static_cast<char>(c);
  const bool failed = pclose(pipe) != 0;

  counters result;
  std::istringstream in(text);
  std::string name;
  for (double value = 0; in >> name >> value;) result[name] = value;
  if (failed || result.empty()) throw std::runtime_error(command.front() + " failed or measured nothing");
  return result;
}

/// As measure_in_child() prints and reads it.
inline void print_counters(const counters& all) {
  for (const auto& [name, value] : all) std::cout << name << ' ' << value << '\n';
  std::cout.flush();
}

inline std::string own_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// The script that lies beside `source`, which is a __FILE__: relative to the build folder when a compiler cache has
/// made it so, and this program is one folder below that.
inline std::string script_beside(const char* source, const char* script) {
  const auto build_folder = std::filesystem::path(own_program()).parent_path().parent_path();
  return (build_folder / std::filesystem::path(source).replace_filename(script)).lexically_normal().string();
}

}  // namespace bench
