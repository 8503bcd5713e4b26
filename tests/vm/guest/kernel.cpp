#include "tests/vm/guest/kernel.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/support/read_file.hpp"

namespace remuda::vm {
namespace {

const std::string cpu_folder = "/sys/devices/system/cpu/";
const std::string node_folder = "/sys/devices/system/node/";
const std::string group_root = "/sys/fs/cgroup";
const std::string group_folder = group_root + "/checks";

[[noreturn]] void fail(const std::string& path) { throw std::runtime_error(path + ": " + std::strerror(errno)); }

unsigned number_in(const std::string& path) { return static_cast<unsigned>(std::stoul(read_text(path))); }

}  // namespace

std::string read_text(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) fail(path);
  return test::read_file(path);
}

void write_text(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail(path);
  const ssize_t written = write(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  errno = error;
  if (written != static_cast<ssize_t>(text.size())) fail(path + " <- " + text);
}

std::set<unsigned> parse_list(const std::string& text) {
  std::set<unsigned> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    unsigned first = 0;
    unsigned last = 0;
    char dash = 0;
    std::istringstream range(part);
    if (!(range >> first)) continue;
    if (!(range >> dash >> last)) last = first;
    for (unsigned i = first; i <= last; ++i) numbers.insert(i);
  }
  return numbers;
}

std::string format_list(const std::set<unsigned>& numbers) {
  std::string text;
  for (const unsigned number : numbers) {
    if (!text.empty()) text += ',';
    text += std::to_string(number);
  }
  return text;
}

const machine& machine::get() {
  static const machine one;
  return one;
}

machine::machine() : cpus(parse_list(read_text(cpu_folder + "online"))) {
  // The kernel hands what it does not know on its command line to the first program's environment.
  const char* const given = std::getenv("remuda_machine");
  name = given != nullptr ? given : "";
  nodes = parse_list(read_text(node_folder + "online"));
  with_memory = parse_list(read_text(node_folder + "has_memory"));
  for (const unsigned node : nodes) {
    const std::string folder = node_folder + "node" + std::to_string(node);
    for (const unsigned cpu : parse_list(read_text(folder + "/cpulist"))) node_of[cpu] = node;
    std::istringstream row(read_text(folder + "/distance"));
    for (const unsigned to : nodes) row >> distance[node][to];
  }
  for (const unsigned cpu : cpus) {
    const std::string folder = cpu_folder + "cpu" + std::to_string(cpu) + "/topology/";
    package_of[cpu] = number_in(folder + "physical_package_id");
    threads_of_core[cpu] = parse_list(read_text(folder + "thread_siblings_list"));
  }
}

std::set<unsigned> machine::cpus_of(unsigned node) const {
  std::set<unsigned> all;
  for (const auto& [cpu, its_node] : node_of) {
    if (its_node == node) all.insert(cpu);
  }
  return all;
}

std::set<unsigned> machine::cores() const {
  std::set<unsigned> first_threads;
  for (const auto& [cpu, threads] : threads_of_core) first_threads.insert(*threads.begin());
  return first_threads;
}

unsigned machine::memory_for(unsigned node, const std::set<unsigned>& allowed) const {
  return *std::min_element(allowed.begin(), allowed.end(),
                           [&](unsigned a, unsigned b) { return distance.at(node).at(a) < distance.at(node).at(b); });
}

unsigned machine::farness(unsigned from_cpu, unsigned to_cpu) const {
  if (threads_of_core.at(from_cpu).contains(to_cpu)) return 0;
  return distance.at(node_of.at(from_cpu)).at(node_of.at(to_cpu));
}

std::set<unsigned> allowed_cpus(pid_t thread) {
  const std::string field = "Cpus_allowed_list:";
  std::istringstream lines(test::read_file("/proc/" + std::to_string(thread) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(field)) return parse_list(line.substr(field.size()));
  }
  return {};
}

std::vector<pid_t> threads_named(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(entry.path() / "comm");  // of a thread that has just ended there is none
    std::string its_name;
    if (std::getline(in, its_name) && its_name == name) {
      found.push_back(static_cast<pid_t>(std::stol(entry.path().filename().string())));
    }
  }
  return found;
}

std::set<unsigned> nodes_of_pages(const void* begin, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(begin) / page * page;
  std::vector<std::uintptr_t> pages;
  for (auto at = first; at < reinterpret_cast<std::uintptr_t>(begin) + bytes; at += page) pages.push_back(at);
  std::vector<int> status(pages.size());
  if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0) != 0) fail("move_pages");
  std::set<unsigned> nodes;
  for (const int each : status) {
    if (each >= 0) nodes.insert(static_cast<unsigned>(each));
  }
  return nodes;
}

std::map<unsigned long, shared_memory> segments_of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::map<std::string, unsigned long> inodes;  // by the address at which the mapping begins
  std::istringstream maps(read_text(folder + "/maps"));
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:remuda (deleted)") == std::string::npos) continue;
    std::istringstream words(line);
    std::string range;
    std::string skipped;
    unsigned long inode = 0;
    words >> range >> skipped >> skipped >> skipped >> inode;
    inodes[range.substr(0, range.find('-'))] = inode;
  }
  std::map<unsigned long, shared_memory> found;
  std::istringstream lines(read_text(folder + "/numa_maps"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address;
    std::string policy;
    words >> address >> policy;
    const auto inode = inodes.find(address);
    if (inode == inodes.end()) continue;
    shared_memory& memory = found[inode->second];
    memory.policy = policy;
    for (std::string word; words >> word;) {  // "N0=12"
      const auto equals = word.find('=');
      if (word.front() != 'N' || equals == std::string::npos) continue;
      memory.pages[static_cast<unsigned>(std::stoul(word.substr(1)))] +=
          static_cast<unsigned>(std::stoul(word.substr(equals + 1)));
    }
  }
  return found;
}

offline::offline(unsigned cpu) : switch_(cpu_folder + "cpu" + std::to_string(cpu) + "/online") {
  write_text(switch_, "0");
}
offline::~offline() { write_text(switch_, "1"); }

own_group::own_group() {
  write_text(group_root + "/cgroup.subtree_control", "+cpuset +cpu");
  std::filesystem::create_directory(group_folder);
  widen();
  write_text(group_folder + "/cgroup.procs", "0");
}

void own_group::widen() {
  set("cpuset.cpus", format_list(machine::get().cpus));
  set("cpuset.mems", format_list(machine::get().with_memory));
  set("cpu.max", "max");
}

own_group::~own_group() {
  // It stays, as processes that are about to end may be left in it.
  widen();
  write_text(group_root + "/cgroup.procs", "0");
}

void own_group::set(const std::string& file, const std::string& value) { write_text(group_folder + "/" + file, value); }

}  // namespace remuda::vm
