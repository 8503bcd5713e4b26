// Which files the job is about.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace demo {

/// What could not be read, and why.
struct problem {
  std::string path;
  int error;  ///< an errno
};

struct file_list {
  std::vector<std::string> paths;  ///< sorted
  std::vector<problem> folders;    ///< could not be listed, or not to their end
  std::size_t skipped = 0;         ///< FIFOs, devices, sockets, and symbolic links to folders
};

/// All files under `folder`, at any depth. Symbolic links to files count as files, those to folders are not followed,
/// so that a loop cannot arise. A link that leads nowhere counts as a file: whoever opens it learns why. Opens folders
/// only. `only_headers` keeps what is named like a header of C or C++. `found` is called with the number of files so
/// far.
file_list find_files(const std::string& folder, bool only_headers, const std::function<void(std::size_t)>& found);

/// The indices of `n` files of `of`, evenly spread; all of them where there are no more.
std::vector<std::size_t> evenly_spread(std::size_t n, std::size_t of);

}  // namespace demo
