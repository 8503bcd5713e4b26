#include "runtime/sched/settings.hpp"

#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/sched/seating.hpp"
#include "runtime/topo/detect.hpp"
#include "runtime/topo/fingerprint.hpp"

namespace remuda::detail {
namespace {

static_assert(tuned_settings{}.spin == balanced_spin);

std::string environment(const char* name) {
  const char* const value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

/// What has to be the same for a file not to be read again.
using file_identity = std::array<std::uint64_t, 5>;

file_identity identity_of(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {static_cast<std::uint64_t>(errno)};
  return {file.st_dev, file.st_ino, static_cast<std::uint64_t>(file.st_size),
          static_cast<std::uint64_t>(file.st_mtim.tv_sec), static_cast<std::uint64_t>(file.st_mtim.tv_nsec)};
}

struct loaded_profile {
  file_identity identity{};
  std::optional<tuned_settings> settings;  ///< empty: cannot be used
};

/// What was read so far, by path. Never destroyed: pools with static storage duration may be made late.
struct table {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const loaded_profile>> files;
};

table& read_so_far() {
  static auto* t = new table;
  // Held over a fork, so that the child finds it unlocked.
  static const int error = pthread_atfork([] { read_so_far().mutex.lock(); }, [] { read_so_far().mutex.unlock(); },
                                          [] { read_so_far().mutex.unlock(); });
  if (error != 0) throw std::bad_alloc();
  return *t;
}

/// Since the profile's look at the machine it can have become no other one.
bool knows_this_machine(const profile& p) {
  return p.settings.topology_from_cache && topo::still_holds(p.topology, topo::boot_state());
}

void warn(const std::string& path, const std::string& why) {
  std::string line = "remuda: profile " + path + " is not used: " + why +
                     "; pools take the built-in settings (`remuda tune` writes a new profile)";
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  std::fprintf(stderr, "%s\n", line.c_str());
}

std::shared_ptr<const loaded_profile> read(const std::string& path, const file_identity& identity) {
  auto file = std::make_shared<loaded_profile>();
  file->identity = identity;
  try {
    const profile p = load_profile(path);
    if (knows_this_machine(p)) {
      topo::adopt_machine(p.topology.xml);
    } else if (const std::string why = why_not(p); !why.empty()) {
      throw error(why);
    }
    file->settings = p.settings;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    warn(path, e.what());
  }
  return file;
}

/// One thread at a time, so that a file is read, and complained about, once.
std::shared_ptr<const loaded_profile> settings_in(const std::string& path) {
  table& known = read_so_far();
  const std::lock_guard lock(known.mutex);
  const file_identity identity = identity_of(path);
  auto& file = known.files[path];
  if (file == nullptr || file->identity != identity) file = read(path, identity);
  return file;
}

unsigned checked_workers(const char* pool, unsigned workers, unsigned most) {
  if (workers == 0) throw std::invalid_argument(std::string(pool) + ": 0 workers; a pool needs at least 1");
  if (workers > most) {
    throw std::invalid_argument(std::string(pool) + ": " + std::to_string(workers) + " workers; at most " +
                                std::to_string(most) + " are supported");
  }
  return workers;
}

}  // namespace

std::string user_profile_path() {
  std::string folder = environment("XDG_CONFIG_HOME");
  if (!folder.starts_with('/')) {  // a relative one is to be ignored, says the specification of these folders
    folder = environment("HOME");
    if (!folder.starts_with('/')) return {};
    folder += "/.config";
  }
  return folder + "/remuda/profile.json";
}

found_profile find_profile(const std::optional<std::string>& option) {
  if (option) return {profile_source::option, *option};
  if (const char* const named = secure_getenv("REMUDA_PROFILE")) return {profile_source::environment, named};
  std::string path = user_profile_path();
  struct stat file {};
  // Where even that cannot be asked, as in a folder of somebody else's, there is none.
  if (path.empty() || stat(path.c_str(), &file) != 0) return {};
  return {profile_source::user_folder, std::move(path)};
}

std::string why_not(const profile& p) {
  // Nothing else is checked then, as to look at the machine again is what the profile saves.
  if (knows_this_machine(p)) return {};
  const std::string differs = difference(p.machine, this_machine_fingerprint());
  return differs.empty() ? "" : "it was made for another machine (" + differs + ")";
}

unsigned workers_of(worker_rule rule, const topology& machine) {
  if (rule == worker_rule::per_cpu) return machine.usable();
  std::set<unsigned> cores;
  for (const cpu& each : machine.cpus) cores.insert(each.core);
  return std::min(machine.usable(), std::max(1U, static_cast<unsigned>(cores.size())));
}

nanoseconds spin_of(wait_policy policy, nanoseconds balanced) {
  switch (policy) {
    case wait_policy::efficient:
      return never_spin;
    case wait_policy::busy_poll:
      return always_spin;
    default:
      return balanced;
  }
}

pool_start start_of(const char* pool, unsigned most, const asked_settings& asked) {
  pool_start start;
  tuned_settings tuned;
  // First, as it may tell what the machine is.
  if (found_profile found = find_profile(asked.profile); !found.path.empty()) {
    if (const auto file = settings_in(found.path); file->settings) {
      tuned = *file->settings;
      start.settings.profile = std::move(found.path);
    }
  }
  start.mask = inherited_mask();
  start.machine = machine_within(start.mask);
  pool_settings& s = start.settings;
  s.workers = checked_workers(
      pool, asked.workers ? *asked.workers : std::min(workers_of(tuned.workers, start.machine), most), most);
  s.pin = asked.pin.value_or(tuned.pin);
  s.policy = asked.policy.value_or(tuned.policy);
  s.spin = spin_of(s.policy, tuned.spin);
  s.steal_near = tuned.steal_near;
  s.near_looks = tuned.near_looks;
  s.ring_slots = tuned.ring_slots;
  return start;
}

}  // namespace remuda::detail
