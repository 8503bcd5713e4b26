// Results in files. A file is there whole or, after an error, as it was before: who reads it later is not to guess.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace remuda::tool {

/// Writes `text` to a new file beside `path` and gives it that name when all of it is on the disk. What is there and is
/// no file of its own (a device, a pipe) is written to as it is. Throws `ending` with the status `failed` and a text
/// that tells what happened to which file.
void write_whole_file(const std::filesystem::path& path, const std::string& text);

/// All of what can be read from front to end, a pipe as well; only `most` bytes of it, so that an endless one ends.
/// Throws std::runtime_error with the reason: the system's, or `too_large`.
std::string read_whole_file(const std::string& path, std::size_t most, const std::string& too_large);

}  // namespace remuda::tool
