#include "runtime/topo/host.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "runtime/topo/cpu_list.hpp"
#include "runtime/topo/hypervisor.hpp"
#include "runtime/topo/read_file.hpp"

namespace remuda::topo {
namespace {

// The folders in `folder` whose name starts so, sorted.
std::vector<std::string> folders(const std::string& folder, std::string_view start) {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    std::string name = each->path().filename().string();
    if (name.starts_with(start)) found.push_back(folder + '/' + std::move(name));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<unsigned> read_cpu_list(const std::string& path) {
  return parse_cpu_list(first_line(path)).value_or(std::vector<unsigned>{});
}

std::optional<bool> read_switch(const std::string& path) {
  const auto value = parse_count(first_line(path));
  if (!value) return std::nullopt;
  return *value != 0;
}

// "always [madvise] never": the choice in brackets.
std::string read_choice(const std::string& path) {
  const std::string line = first_line(path);
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']', open == std::string::npos ? line.size() : open);
  return close == std::string::npos ? std::string() : line.substr(open + 1, close - open - 1);
}

// The CPU's name; kernels for ARM tell none, or that of the board.
std::string read_cpu_model(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string_view key = std::string_view(line).substr(0, line.find_first_of("\t:"));
    if (key == "model name" || key == "Model" || key == "cpu model") return line.substr(colon + 2);
  }
  return {};
}

// The CPUs of "rcu_nocbs=2-7" on the kernel's command line; no file of /sys tells them. "all" and N, the last CPU, are
// what the kernel knows beside numbers. Full tickless CPUs are among them without being asked for.
std::vector<unsigned> read_rcu_nocbs(const std::string& root, const host& so_far) {
  std::istringstream words(first_line(root + "/proc/cmdline"));
  std::vector<unsigned> named;
  for (std::string word; words >> word;) {
    constexpr std::string_view key = "rcu_nocbs=";
    if (!word.starts_with(key)) continue;
    word.erase(0, key.size());
    if (word == "all") return so_far.online;
    if (const std::size_t last = word.find('N'); last != std::string::npos && !so_far.online.empty()) {
      word.replace(last, 1, std::to_string(so_far.online.back()));
    }
    named = parse_cpu_list(word).value_or(std::vector<unsigned>{});
  }
  std::vector<unsigned> all;
  std::set_union(named.begin(), named.end(), so_far.nohz_full.begin(), so_far.nohz_full.end(), std::back_inserter(all));
  return all;
}

void read_frequency(const std::string& cpus, host& found) {
  for (const std::string& policy : folders(cpus + "/cpufreq", "policy")) {
    if (std::string governor = first_line(policy + "/scaling_governor"); !governor.empty()) {
      found.governors.push_back(std::move(governor));
    }
    if (found.frequency_driver.empty()) found.frequency_driver = first_line(policy + "/scaling_driver");
  }
  std::sort(found.governors.begin(), found.governors.end());
  found.governors.erase(std::unique(found.governors.begin(), found.governors.end()), found.governors.end());

  found.boost = read_switch(cpus + "/cpufreq/boost");
  if (!found.boost) {
    const std::optional<bool> off = read_switch(cpus + "/intel_pstate/no_turbo");
    if (off) found.boost = !*off;
  }
}

// All CPUs have the same idle states, but for big and little cores, whose ways back are alike.
std::optional<std::uint64_t> read_deepest_idle(const std::string& cpus) {
  std::optional<std::uint64_t> deepest;
  for (const std::string& state : folders(cpus + "/cpu0/cpuidle", "state")) {
    const auto latency = parse_count(first_line(state + "/latency"));
    if (!latency || read_switch(state + "/disable").value_or(false)) continue;
    deepest = std::max(deepest.value_or(0), *latency);
  }
  return deepest;
}

void read_memory(const std::string& root, host& found) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string key, value;
    fields >> key >> value;
    const std::uint64_t number = parse_count(value).value_or(0);
    if (key == "MemTotal:") found.memory_bytes = number * 1024;
    if (key == "HugePages_Total:") found.reserved_huge_pages = number;
    if (key == "HugePages_Free:") found.free_huge_pages = number;
  }
  const std::string huge_pages = root + "/sys/kernel/mm/transparent_hugepage";
  found.transparent_huge_pages = read_choice(huge_pages + "/enabled");
  found.huge_page_defrag = read_choice(huge_pages + "/defrag");
  found.numa_balancing = read_switch(root + "/proc/sys/kernel/numa_balancing");
}

// The line "cpu user nice system idle iowait irq softirq steal ..", in clock ticks since boot. Guests' time, which
// follows, is in user and nice already.
std::optional<double> read_steal_share(const std::string& root) {
  std::istringstream fields(first_line(root + "/proc/stat"));
  std::string name;
  fields >> name;
  double total = 0, ticks = 0;
  for (int i = 0; i < 8; ++i) {
    if (!(fields >> ticks) || !(ticks >= 0)) return std::nullopt;
    total += ticks;
  }
  if (name != "cpu" || !(total > 0)) return std::nullopt;
  return ticks / total;
}

double read_load(const std::string& root) {
  std::istringstream fields(first_line(root + "/proc/loadavg"));
  double load = 0;
  return fields >> load && load >= 0 ? load : 0;
}

// "CapEff:\t000001ffffffffff", in hexadecimal.
std::uint64_t read_capabilities(const std::string& root) {
  std::ifstream file(root + "/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view key = "CapEff:\t";
    if (!line.starts_with(key)) continue;
    std::uint64_t bits = 0;
    std::from_chars(line.data() + key.size(), line.data() + line.size(), bits, 16);
    return bits;
  }
  return 0;
}

resource_limit read_limit(decltype(RLIMIT_NOFILE) which) {
  rlimit now{};
  resource_limit told;
  if (getrlimit(which, &now) != 0) return told;
  if (now.rlim_cur != RLIM_INFINITY) told.soft = now.rlim_cur;
  if (now.rlim_max != RLIM_INFINITY) told.hard = now.rlim_max;
  return told;
}

}  // namespace

host read_host(const std::string& root) {
  host found;
  const std::string cpus = root + "/sys/devices/system/cpu";
  found.kernel = first_line(root + "/proc/sys/kernel/osrelease");
  found.cpu_model = read_cpu_model(root);
  found.hypervisor = hypervisor_name(root);
  found.online = read_cpu_list(cpus + "/online");
  found.isolated = read_cpu_list(cpus + "/isolated");
  found.nohz_full = read_cpu_list(cpus + "/nohz_full");  // "(null)" where the kernel can do it and was not asked to
  found.rcu_nocbs = read_rcu_nocbs(root, found);
  read_frequency(cpus, found);
  found.smt_active = read_switch(cpus + "/smt/active");
  found.deepest_idle_us = read_deepest_idle(cpus);
  found.clock_source = first_line(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  read_memory(root, found);
  found.memlock = read_limit(RLIMIT_MEMLOCK);
  found.rtprio = read_limit(RLIMIT_RTPRIO);
  found.processes = read_limit(RLIMIT_NPROC);
  found.descriptors = read_limit(RLIMIT_NOFILE);
  found.capabilities = read_capabilities(root);
  found.load_1min = read_load(root);
  found.steal_share = read_steal_share(root);
  found.cgroups = cgroup_levels(root);
  return found;
}

}  // namespace remuda::topo
