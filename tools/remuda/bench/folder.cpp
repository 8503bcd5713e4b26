#include "tools/remuda/bench/folder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tools/remuda/bench/page.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* report_name = "report.json";
constexpr const char* page_name = "index.html";

[[noreturn]] void fail(const char* what, const fs::path& path, int error) {
  throw std::runtime_error(
      fmt::format("cannot {} {}: {}", what, path.string(), std::generic_category().message(error)));
}

/// Letters and digits, all else as one dash.
std::string slug(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  out.resize(std::min<std::size_t>(out.size(), 60));
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "unknown-cpu" : out;
}

}  // namespace

fs::path default_folder(const std::string& taken_at, const std::string& cpu_model) {
  // "2026-11-26T21:30:05Z"
  const auto part = [&](std::size_t at, std::size_t length) {
    return taken_at.substr(std::min(at, taken_at.size()), length);
  };
  return fs::path("perf_reports") / fmt::format("{}_{}{}_{}", part(0, 10), part(11, 2), part(14, 2), slug(cpu_model));
}

new_folder::new_folder(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  made_ = fs::create_directories(path_, error);
  if (error) fail("make the folder", path_, error.value());
  if (made_) return;
  const bool empty = fs::is_empty(path_, error);
  if (error) fail("read the folder", path_, error.value());
  if (!empty) {
    throw std::runtime_error(
        fmt::format("{} is there already and is not overwritten; choose another folder with -o", path_.string()));
  }
  if (::access(path_.c_str(), W_OK | X_OK) != 0) fail("write to", path_, errno);
}

new_folder::~new_folder() {
  std::error_code ignored;
  if (made_ && !keep_) fs::remove(path_, ignored);  // only when it is empty
}

void write_report(const fs::path& folder, const report& r) { write_whole_file(folder / report_name, to_json(r)); }

void write_page(const fs::path& folder, const report& r) { write_whole_file(folder / page_name, to_page(r)); }

std::string read_text(const fs::path& path) {
  std::error_code error;
  const auto kind = fs::status(path, error).type();
  if (kind == fs::file_type::not_found) fail("read", path, ENOENT);
  if (error) fail("read", path, error.value());
  if (kind == fs::file_type::directory) fail("read", path, EISDIR);
  if (kind != fs::file_type::regular) throw std::runtime_error(fmt::format("{} is no regular file", path.string()));
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open()) fail("read", path, errno == 0 ? EIO : errno);
  return text;
}

report read_report(const fs::path& path) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / report_name : path;
  const std::string text = read_text(file);
  try {
    return report_from_json(text);
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(fmt::format("{}: {}", file.string(), e.what()));
  }
}

}  // namespace remuda::tool::bench
