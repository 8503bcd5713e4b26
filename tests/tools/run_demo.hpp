// Runs the demo, and reads what it has written.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "run_program.hpp"

namespace tools_test {

namespace fs = std::filesystem;
using nlohmann::json;

inline std::string demo_path() {
#ifdef REMUDA_DEMO
  return REMUDA_DEMO;
#else
  const char* path = std::getenv("REMUDA_DEMO");
  return path != nullptr ? path : "";
#endif
}

// The exit statuses as --help documents them.
inline constexpr int good = 0;
inline constexpr int usage = 2;
inline constexpr int incomplete = 3;
inline constexpr int nothing_to_do = 4;
inline constexpr int no_output = 5;
inline constexpr int no_resources = 6;
inline constexpr int no_descriptors = 7;

inline finished demo(std::vector<std::string> arguments, const std::function<void()>& prepare = {}) {
  arguments.insert(arguments.begin(), demo_path());
  return run_program(arguments, prepare);
}

/// One round is enough where times do not matter.
inline finished demo_json(const fs::path& folder, std::vector<std::string> more = {},
                          const std::function<void()>& prepare = {}) {
  more.insert(more.end(), {"--json", "-", "--repeat", "1", "--", folder.native()});
  return demo(more, prepare);
}

inline json way_named(const json& report, const std::string& name) {
  for (const auto& way : report.at("ways")) {
    if (way.at("name") == name) return way;
  }
  ADD_FAILURE() << "no way named " << name;
  return {};
}

inline std::ptrdiff_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline void write_many(const temporary_folder& folder, int files) {
  for (int i = 0; i < files; ++i) folder.write(std::to_string(i), "file number " + std::to_string(i) + "\n");
}

}  // namespace tools_test
