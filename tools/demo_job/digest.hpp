// The work on one file: its CRC-32 and how many words it has.
#pragma once

#include <cstdint>
#include <string>

namespace demo {

struct digest {
  int error = 0;         ///< errno of what kept the file from being read to its end; the counts are void then
  bool changed = false;  ///< somebody wrote to the file while it was read
  std::uint32_t crc32 = 0;
  std::uint64_t bytes = 0;
  std::uint64_t words = 0;  ///< runs of bytes that are not ASCII white space

  /// Which contents were read, so that a file changed between two readings is not taken for a wrong result.
  struct version {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    friend bool operator==(const version&, const version&) = default;
  } of;

  bool same_contents(const digest& other) const {
    return crc32 == other.crc32 && bytes == other.bytes && words == other.words;
  }
};

/// Opens nothing but regular files: whatever else `path` has become meanwhile gives the error ESTALE.
digest digest_file(const std::string& path) noexcept;

}  // namespace demo
