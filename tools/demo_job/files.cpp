#include "tools/demo_job/files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace demo {
namespace {

namespace fs = std::filesystem;

bool is_header(const fs::path& path) {
  static constexpr std::array<std::string_view, 12> endings = {"",     ".h",   ".hh",  ".hpp", ".hxx", ".h++",
                                                               ".inc", ".inl", ".ipp", ".tcc", ".tpp", ".txx"};
  return std::find(endings.begin(), endings.end(), path.extension().native()) != endings.end();
}

bool is_file(const fs::directory_entry& entry) {
  std::error_code error;
  switch (entry.status(error).type()) {
    case fs::file_type::directory:
    case fs::file_type::fifo:
    case fs::file_type::socket:
    case fs::file_type::block:
    case fs::file_type::character:
      return false;
    default:
      return true;
  }
}

}  // namespace

file_list find_files(const std::string& folder, bool only_headers, const std::function<void(std::size_t)>& found) {
  file_list list;
  // By hand, because fs::recursive_directory_iterator gives up the whole rest after one folder that cannot be read.
  std::vector<fs::path> to_visit{folder};
  while (!to_visit.empty()) {
    const fs::path here = std::move(to_visit.back());
    to_visit.pop_back();
    std::error_code error;
    fs::directory_iterator entry(here, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      std::error_code ignored;  // what cannot be looked at is a file to is_file()
      const bool link = entry->is_symlink(ignored);
      if (!link && entry->is_directory(ignored)) {
        to_visit.push_back(entry->path());
      } else if (!is_file(*entry)) {
        ++list.skipped;
      } else if (!only_headers || is_header(entry->path())) {
        list.paths.push_back(entry->path().native());
        found(list.paths.size());
      }
    }
    if (error) list.folders.push_back({here.native(), error.value()});
  }
  std::sort(list.paths.begin(), list.paths.end());
  return list;
}

std::vector<std::size_t> evenly_spread(std::size_t n, std::size_t of) {
  std::vector<std::size_t> indices(std::min(n, of));
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = i * of / indices.size();
  return indices;
}

}  // namespace demo
