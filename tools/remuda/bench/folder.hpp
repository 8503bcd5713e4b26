// The folder that a report lies in: report.json and index.html.
#pragma once

#include <filesystem>
#include <string>

#include "tools/remuda/bench/results.hpp"

namespace remuda::tool::bench {

// All throw std::runtime_error with path and reason.

/// perf_reports/YYYY-MM-DD_HHMM_CPU, from the time (ISO 8601) and the CPU's name.
std::filesystem::path default_folder(const std::string& taken_at, const std::string& cpu_model);

/// A folder that was made for a report, with those above it, and is taken away again unless keep() is called.
class new_folder {
 public:
  /// An empty folder that is there already is taken; anything else is not overwritten but refused.
  explicit new_folder(std::filesystem::path path);
  ~new_folder();
  new_folder(const new_folder&) = delete;
  new_folder& operator=(const new_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  std::filesystem::path path_;
  bool made_ = false;
  bool keep_ = false;
};

/// Each replaces what is there. These throw `ending` instead.
void write_report(const std::filesystem::path& folder, const report&);
void write_page(const std::filesystem::path& folder, const report&);

/// Of a folder with a report.json, or of such a file.
report read_report(const std::filesystem::path& path);
/// A regular file, whole.
std::string read_text(const std::filesystem::path& path);

}  // namespace remuda::tool::bench
