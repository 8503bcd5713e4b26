// The text of a file.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace remuda::test {

/// Whole; empty when it cannot be read, and when the process or thread that it is about ends while it is read: a
/// stream buffer answers that with an exception, which a stream's operator takes for the end.
inline std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace remuda::test
