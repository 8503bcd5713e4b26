// Writing a file so that whoever reads it finds the old one or the new one, and never a part.
#pragma once

#include <string>

namespace remuda::tool {

/// Writes a file beside it and renames that, once it is on the disk. A link is followed; folders that are missing are
/// made. Throws `ending` with status `failed` and what to do; what was there then is as it was.
void write_file(const std::string& path, const std::string& contents);

}  // namespace remuda::tool
