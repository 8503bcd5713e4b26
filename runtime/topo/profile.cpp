// What a profile says, for people; and reading it from a file.
#include "remuda/profile.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/unique_fd.hpp"
#include "runtime/topo/profile_names.hpp"

namespace remuda {
namespace topo {
namespace {

template <class T, std::size_t N>
using names = std::array<std::pair<T, std::string_view>, N>;

constexpr names<worker_rule, 2> rules{{{worker_rule::per_cpu, "per_cpu"}, {worker_rule::per_core, "per_core"}}};
constexpr names<wait_policy, 3> policies{{{wait_policy::efficient, "efficient"},
                                          {wait_policy::balanced, "balanced"},
                                          {wait_policy::busy_poll, "busy_poll"}}};
constexpr names<nearness, 6> distances{{{nearness::core, "core"},
                                        {nearness::l2, "l2"},
                                        {nearness::l3, "l3"},
                                        {nearness::node, "node"},
                                        {nearness::package, "package"},
                                        {nearness::machine, "machine"}}};

template <class T, std::size_t N>
std::string_view look_up(const names<T, N>& all, T value) {
  for (const auto& [each, name] : all) {
    if (each == value) return name;
  }
  return {};
}

template <class T, std::size_t N>
bool look_up(const names<T, N>& all, std::string_view wanted, T& value) {
  for (const auto& [each, name] : all) {
    if (name != wanted) continue;
    value = each;
    return true;
  }
  return false;
}

}  // namespace

std::string_view name_of(worker_rule value) { return look_up(rules, value); }
std::string_view name_of(wait_policy value) { return look_up(policies, value); }
std::string_view name_of(nearness value) { return look_up(distances, value); }
bool from_name(std::string_view name, worker_rule& value) { return look_up(rules, name, value); }
bool from_name(std::string_view name, wait_policy& value) { return look_up(policies, name, value); }
bool from_name(std::string_view name, nearness& value) { return look_up(distances, name, value); }

}  // namespace topo

namespace {

/// Far above what tune writes: hwloc's description of a thousand CPUs is less than one of it.
constexpr std::size_t most_bytes = std::size_t{8} << 20;

std::string text(bool value) { return value ? "true" : "false"; }

[[noreturn]] void throw_unreadable(int error) {
  throw remuda::error("it cannot be read: " + std::generic_category().message(error));
}

}  // namespace

std::vector<setting_line> list_settings(const profile& p) {
  namespace names = topo::setting;
  const tuned_settings& s = p.settings;
  const tuned_settings built_in;
  const auto line = [&](const char* name, auto value_of) {
    const auto reason = p.reasons.find(name);
    return setting_line{name, value_of(s), value_of(built_in), reason == p.reasons.end() ? "" : reason->second};
  };
  using settings = const tuned_settings&;
  return {
      line(names::workers, [](settings t) { return std::string(topo::name_of(t.workers)); }),
      line(names::pin, [](settings t) { return text(t.pin); }),
      line(names::wait_policy, [](settings t) { return std::string(topo::name_of(t.policy)); }),
      line(names::spin, [](settings t) { return std::to_string(t.spin.count()); }),
      line(names::steal_near, [](settings t) { return std::string(topo::name_of(t.steal_near)); }),
      line(names::near_looks, [](settings t) { return std::to_string(t.near_looks); }),
      line(names::ring_slots, [](settings t) { return std::to_string(t.ring_slots); }),
      line(names::topology_from_cache, [](settings t) { return text(t.topology_from_cache); }),
  };
}

profile load_profile(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw_unreadable(ENOENT);
  // Asked before it is opened, as opening a device may do something; and again afterwards, as it may be another by
  // then.
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) throw_unreadable(errno);
  const auto refuse_others = [&file] {
    if (S_ISDIR(file.st_mode)) throw error("it is a folder, not a file");
    if (!S_ISREG(file.st_mode)) throw error("it is a pipe, a device or a socket, not a plain file");
  };
  refuse_others();
  const os::unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd || fstat(fd.get(), &file) != 0) throw_unreadable(errno);
  refuse_others();

  std::string bytes;
  std::array<char, 16384> part;
  for (;;) {
    const ssize_t got = read(fd.get(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_unreadable(errno);
    if (got == 0) break;
    bytes.append(part.data(), static_cast<std::size_t>(got));
    if (bytes.size() > most_bytes) {
      throw error("it is larger than " + std::to_string(most_bytes >> 20) + " MiB, so it is no profile");
    }
  }
  return profile_from_json(bytes);
}

}  // namespace remuda
