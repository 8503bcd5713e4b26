#include "runtime/topo/cgroup.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace remuda::topo {
namespace {

constexpr double no_quota = std::numeric_limits<double>::infinity();

enum class version { v1, v2 };

// One mounted hierarchy: the group `group` and all below it appear as folders at `folder`.
struct mount {
  version kind;
  std::string group;
  std::string folder;
};

// The groups of this process, as absolute paths in their hierarchies.
struct membership {
  std::optional<std::string> v1;
  std::optional<std::string> v2;
};

bool lists(std::string_view comma_separated, std::string_view wanted) {
  while (!comma_separated.empty()) {
    const std::size_t comma = std::min(comma_separated.find(','), comma_separated.size());
    if (comma_separated.substr(0, comma) == wanted) return true;
    comma_separated.remove_prefix(std::min(comma + 1, comma_separated.size()));
  }
  return false;
}

// The kernel writes space, tab, newline and backslash in a path of mountinfo as \ooo.
std::string unescape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// A line of mountinfo: id parent device root mount-point options [optional fields] - type source super-options
std::optional<mount> parse_mount(const std::string& line) {
  std::istringstream fields(line);
  std::string skipped, group, folder, type, super_options;
  fields >> skipped >> skipped >> skipped >> group >> folder;
  while (fields >> skipped && skipped != "-") {
  }
  fields >> type >> skipped >> super_options;
  if (!fields) return std::nullopt;
  if (type == "cgroup2") return mount{version::v2, unescape(group), unescape(folder)};
  if (type == "cgroup" && lists(super_options, "cpu")) return mount{version::v1, unescape(group), unescape(folder)};
  return std::nullopt;
}

std::vector<mount> read_mounts(const std::string& root) {
  std::vector<mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // A container host has thousands of mounts, and a pool waits for this: look closer at the few that matter.
    if (line.find(" - cgroup") == std::string::npos) continue;
    if (auto found = parse_mount(line)) mounts.push_back(*std::move(found));
  }
  return mounts;
}

// A line of /proc/self/cgroup: hierarchy:controllers:path, with hierarchy 0 and no controllers in version 2.
membership read_membership(const std::string& root) {
  membership own;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      own.v2 = std::move(path);
    } else if (lists(controllers, "cpu")) {
      own.v1 = std::move(path);
    }
  }
  return own;
}

// The whole text is one number, or it is none.
std::optional<double> parse_number(std::string_view text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return static_cast<double>(value);
}

std::vector<std::string> read_words(const std::string& path) {
  std::vector<std::string> words;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::istringstream text(line);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// The quota that this one group sets. "max" (version 2) and -1 (version 1) mean none.
double quota_of_group(version kind, const std::string& folder) {
  std::vector<std::string> words;  // microseconds of CPU time, and the period in which they may be used
  if (kind == version::v2) {
    words = read_words(folder + "/cpu.max");
  } else {
    words = read_words(folder + "/cpu.cfs_quota_us");
    for (std::string& word : read_words(folder + "/cpu.cfs_period_us")) words.push_back(std::move(word));
  }
  if (words.size() != 2) return no_quota;
  const std::optional<double> time = parse_number(words[0]);
  const std::optional<double> period = parse_number(words[1]);
  if (!time || !period || *time <= 0 || *period <= 0) return no_quota;
  return *time / *period;
}

// Where the own group lies below the mount point ("" = it is the mounted group, "/a/b" = two levels below), or nothing
// when the quotas of this mount do not apply.
std::optional<std::string> path_below_mount(const std::string& mounted_group, const std::string& own_group) {
  // A group outside of the namespace is told as "/../name", a path that no mount inside of it shows.
  if (own_group.find("/../") != std::string::npos || own_group.ends_with("/..")) return std::nullopt;
  if (mounted_group == own_group) return "";
  if (mounted_group == "/") return own_group;
  if (own_group.starts_with(mounted_group + "/")) return own_group.substr(mounted_group.size());
  // "/.." and "/../.." are groups above the namespace's own top. The names between are hidden, but such a group is
  // above ours in any case, and its quota holds for us.
  for (std::string_view rest = mounted_group; rest.starts_with("/..");) {
    rest.remove_prefix(3);
    if (rest.empty()) return "";
  }
  return std::nullopt;  // another branch, mounted here for another purpose
}

}  // namespace

double cpu_quota(const std::string& root) {
  const membership own = read_membership(root);
  double smallest = no_quota;
  for (const mount& each : read_mounts(root)) {
    const std::optional<std::string>& group = each.kind == version::v1 ? own.v1 : own.v2;
    if (!group) continue;
    std::optional<std::string> below = path_below_mount(each.group, *group);
    if (!below) continue;
    for (;;) {
      smallest = std::min(smallest, quota_of_group(each.kind, root + each.folder + *below));
      const std::size_t slash = below->rfind('/');
      if (slash == std::string::npos) break;
      below->resize(slash);
    }
  }
  return smallest;
}

}  // namespace remuda::topo
