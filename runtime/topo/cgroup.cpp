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

#include "runtime/topo/read_file.hpp"

namespace remuda::topo {
namespace {

constexpr double no_quota = std::numeric_limits<double>::infinity();

enum class version { v1, v2 };

// One mounted hierarchy: the group `group` and all below it appear as folders at `folder`.
struct mount {
  version kind;
  bool has_cpu;
  bool has_cpuset;
  std::string group;
  std::string folder;
};

// The groups of this process, as absolute paths in their hierarchies.
struct membership {
  std::optional<std::string> v1_cpu;
  std::optional<std::string> v1_cpuset;
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
  if (type == "cgroup2") return mount{version::v2, true, true, unescape(group), unescape(folder)};
  if (type != "cgroup") return std::nullopt;
  const bool has_cpu = lists(super_options, "cpu");
  const bool has_cpuset = lists(super_options, "cpuset");
  if (!has_cpu && !has_cpuset) return std::nullopt;
  return mount{version::v1, has_cpu, has_cpuset, unescape(group), unescape(folder)};
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
    } else {
      if (lists(controllers, "cpu")) own.v1_cpu = path;
      if (lists(controllers, "cpuset")) own.v1_cpuset = path;
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
  std::istringstream text(first_line(path));
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

// One group of this process, and how it is mounted.
struct own_group {
  const mount& where;
  std::string below;  // the mount point; empty = the mounted group itself

  std::string folder() const { return where.folder + below; }
  std::string absolute() const { return where.group == "/" ? below : where.group + below; }  // in its hierarchy
};

// Calls `visit` with the own group of every mounted hierarchy that counts, and the groups above it.
template <class Visit>
void for_each_group(const std::string& root, Visit visit) {
  const membership own = read_membership(root);
  for (const mount& each : read_mounts(root)) {
    const std::optional<std::string>& group =
        each.kind == version::v2 ? own.v2 : (each.has_cpu ? own.v1_cpu : own.v1_cpuset);
    if (!group) continue;
    std::optional<std::string> below = path_below_mount(each.group, *group);
    if (!below) continue;
    for (;;) {
      visit(own_group{each, *below});
      const std::size_t slash = below->rfind('/');
      if (slash == std::string::npos) break;
      below->resize(slash);
    }
  }
}

// How often the quota held the group up so far. Version 2 counts microseconds, version 1 nanoseconds.
void read_throttling(const std::string& folder, cgroup_level& level) {
  std::ifstream file(folder + "/cpu.stat");
  for (std::string line; std::getline(file, line);) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const std::string_view key = std::string_view(line).substr(0, space);
    const std::uint64_t value = parse_count(std::string_view(line).substr(space + 1)).value_or(0);
    if (key == "nr_periods") level.periods = value;
    if (key == "nr_throttled") level.throttled_periods = value;
    if (key == "throttled_usec") level.throttled_ns = value * 1000;
    if (key == "throttled_time") level.throttled_ns = value;
  }
}

cgroup_level read_level(const std::string& root, const own_group& group) {
  cgroup_level level;
  level.version = group.where.kind == version::v2 ? 2 : 1;
  level.path = group.below.empty() ? "/" : group.below;
  level.folder = group.folder();
  const std::string files = root + level.folder;
  if (group.where.has_cpu) {
    const double quota = quota_of_group(group.where.kind, files);
    if (quota < no_quota) level.quota = quota;
    read_throttling(files, level);
  }
  if (group.where.has_cpuset) level.cpuset = first_line(files + "/cpuset.cpus");
  return level;
}

// A group that restricts nothing has an empty list in version 2, but that of the group above it in version 1, where
// the topmost has all CPUs.
void drop_inherited_cpusets(std::vector<cgroup_level>& levels, const std::string& online) {
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (levels[i].version != 1) continue;
    const bool topmost = levels[i].path == "/" || i + 1 == levels.size();
    if (levels[i].cpuset == (topmost ? online : levels[i + 1].cpuset)) levels[i].cpuset.clear();
  }
}

}  // namespace

double cpu_quota(const std::string& root) {
  double smallest = no_quota;
  for_each_group(root, [&](const own_group& each) {
    if (each.where.has_cpu) smallest = std::min(smallest, quota_of_group(each.where.kind, root + each.folder()));
  });
  return smallest;
}

std::vector<cgroup_level> cgroup_levels(const std::string& root) {
  std::vector<cgroup_level> levels;
  std::vector<std::string> seen;  // a branch may be mounted beside the whole
  for_each_group(root, [&](const own_group& each) {
    const std::string name = (each.where.kind == version::v2 ? "2"
                              : each.where.has_cpu           ? "cpu"
                                                             : "cpuset") +
                             each.absolute();
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) return;
    seen.push_back(name);
    levels.push_back(read_level(root, each));
  });
  std::stable_sort(levels.begin(), levels.end(),
                   [](const cgroup_level& a, const cgroup_level& b) { return a.version > b.version; });
  drop_inherited_cpusets(levels, first_line(root + "/sys/devices/system/cpu/online"));
  return levels;
}

}  // namespace remuda::topo
