// What the kernel of the emulated machine says of its CPUs, threads and memory, read without the library: the checks
// compare what the library does with this.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace remuda::vm {

/// Whole file; throws std::runtime_error with the path when it cannot be read.
std::string read_text(const std::string& path);
/// One write; throws std::runtime_error with the path and the kernel's reason.
void write_text(const std::string& path, const std::string& text);

/// "0-2,5" as in /sys and /proc/PID/status.
std::set<unsigned> parse_list(const std::string& text);
std::string format_list(const std::set<unsigned>& numbers);

/// As it was when this process asked for it first; that is before any check changes it.
class machine {
 public:
  static const machine& get();

  std::string name;                                        ///< that the script has started it under
  std::set<unsigned> cpus;                                 ///< online
  std::map<unsigned, unsigned> node_of;                    ///< by CPU
  std::map<unsigned, unsigned> package_of;                 ///< by CPU
  std::map<unsigned, std::set<unsigned>> threads_of_core;  ///< by CPU: itself and its siblings
  std::set<unsigned> nodes;
  std::set<unsigned> with_memory;                             ///< nodes
  std::map<unsigned, std::map<unsigned, unsigned>> distance;  ///< between nodes

  std::set<unsigned> cpus_of(unsigned node) const;
  /// The first thread of each core.
  std::set<unsigned> cores() const;
  /// Where memory for a CPU of this node has to come from.
  unsigned memory_for(unsigned node, const std::set<unsigned>& allowed) const;
  unsigned memory_for_cpu(unsigned cpu) const { return memory_for(node_of.at(cpu), with_memory); }
  /// How far one CPU is from another: smaller is nearer, 0 = the same core.
  unsigned farness(unsigned from_cpu, unsigned to_cpu) const;

 private:
  machine();
};

/// The CPUs on which the kernel lets a thread or process run; none when it has ended.
std::set<unsigned> allowed_cpus(pid_t thread);
/// Threads of this process with this name.
std::vector<pid_t> threads_named(const std::string& name);

/// The nodes on which the pages of a range are that are there.
std::set<unsigned> nodes_of_pages(const void* begin, std::size_t bytes);

struct shared_memory {
  std::string policy;                  ///< as in numa_maps, "prefer:0"
  std::map<unsigned, unsigned> pages;  ///< by node, those that this process has touched
};
/// The memory files of process pools that a process has mapped, by inode.
std::map<unsigned long, shared_memory> segments_of(pid_t process);

/// Takes a CPU away for as long as it lives.
class offline {
 public:
  explicit offline(unsigned cpu);
  ~offline();
  offline(const offline&) = delete;
  offline& operator=(const offline&) = delete;

 private:
  std::string switch_;
};

/// Keeps this process, and what it starts meanwhile, in a control group of its own for as long as it lives.
class own_group {
 public:
  own_group();
  ~own_group();
  own_group(const own_group&) = delete;
  own_group& operator=(const own_group&) = delete;

  static void set(const std::string& file, const std::string& value);  ///< "cpuset.cpus", "0-1"

 private:
  static void widen();
};

}  // namespace remuda::vm
