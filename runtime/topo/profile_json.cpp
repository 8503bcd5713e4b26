// The file format of profiles. What is read may be anything: every text that is not a whole and valid profile ends as
// an error that says why, and what is accepted is within the bounds of its settings.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "remuda/error.hpp"
#include "remuda/profile.hpp"
#include "runtime/topo/profile_names.hpp"

namespace remuda {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace names = topo::setting;

/// The format has three levels; a few more give room for an error that names the member.
constexpr int deepest = 8;

constexpr const char* version_key = "remuda_profile";

/// Refuses what the parser itself would take: deep nesting, and members that come twice, of which it keeps one.
class strict {
 public:
  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    if (depth > deepest) throw error("it is no profile: it is nested more than " + std::to_string(deepest) + " deep");
    if (event == json::parse_event_t::object_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end) keys_.pop_back();
    if (event == json::parse_event_t::key) {
      auto key = parsed.get<std::string>();
      if (!keys_.back().insert(key).second) throw error("\"" + key + "\" stands in it twice");
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;
};

json parse(const std::string& text) {
  strict rules;
  try {
    return json::parse(text, [&rules](int depth, json::parse_event_t event, const json& parsed) {
      return rules(depth, event, parsed);
    });
  } catch (const json::parse_error& e) {
    if (e.byte > text.size()) throw error("it ends too early: it is not whole");
    throw error("it is damaged: not JSON at byte " + std::to_string(e.byte));
  } catch (const json::exception&) {  // a number beyond all bounds
    throw error("it is damaged: it has a number that is too large");
  }
}

/// The members of one object, each taken at most once; what is left over at the end is unknown.
class members {
 public:
  members(const json& from, std::string where) : from_(from), where_(std::move(where)) {
    if (!from.is_object()) throw error((where_.empty() ? "it" : where_) + " is not an object");
  }

  const json* take(const char* name) {
    taken_.insert(name);
    const auto found = from_.find(name);
    return found == from_.end() ? nullptr : &*found;
  }
  const json& need(const char* name) {
    const json* const found = take(name);
    if (found == nullptr) throw error(path(name) + " is missing");
    return *found;
  }
  std::string need_text(const char* name) {
    const json& found = need(name);
    if (!found.is_string()) throw error(path(name) + " is not a text");
    return found.get<std::string>();
  }
  unsigned need_count(const char* name) {
    return static_cast<unsigned>(number(need(name), path(name), 0, std::numeric_limits<unsigned>::max()));
  }
  void end() const {
    for (const auto& each : from_.items()) {
      if (taken_.count(each.key()) == 0) throw error(path(each.key()) + " is not known to this version");
    }
  }
  std::string path(const std::string& name) const { return where_.empty() ? name : where_ + "." + name; }

  static std::uint64_t number(const json& value, const std::string& where, std::uint64_t least, std::uint64_t most) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most) {
      throw error(where + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value.get<std::uint64_t>();
  }

 private:
  const json& from_;
  std::string where_;
  std::set<std::string, std::less<>> taken_;
};

template <class T>
void read_value(const json& from, const std::string& where, T& value) {
  if (!from.is_string() || !topo::from_name(from.get_ref<const std::string&>(), value)) {
    throw error(where + " has a value that is none of its names");
  }
}

void read_value(const json& from, const std::string& where, bool& value) {
  if (!from.is_boolean()) throw error(where + " is neither true nor false");
  value = from.get<bool>();
}

/// A setting that is not there keeps the value that is built in.
template <class Read>
void read_setting(members& from, const char* name, profile& into, Read read) {
  const json* const found = from.take(name);
  if (found == nullptr) return;
  members setting(*found, from.path(name));
  read(setting.need("value"), setting.path("value"));
  if (const json* const reason = setting.take("reason")) {
    if (!reason->is_string()) throw error(setting.path("reason") + " is not a text");
    into.reasons[name] = reason->get<std::string>();
  }
  setting.end();
}

void read_settings(const json& from, profile& into) {
  members all(from, "settings");
  tuned_settings& s = into.settings;
  const auto plain = [](auto& value) {
    return [&value](const json& v, const std::string& where) { read_value(v, where, value); };
  };
  const auto count = [](unsigned& value, unsigned least, unsigned most) {
    return [&value, least, most](const json& v, const std::string& where) {
      value = static_cast<unsigned>(members::number(v, where, least, most));
    };
  };
  read_setting(all, names::workers, into, plain(s.workers));
  read_setting(all, names::pin, into, plain(s.pin));
  read_setting(all, names::wait_policy, into, plain(s.policy));
  read_setting(all, names::spin, into, [&s](const json& v, const std::string& where) {
    const auto most = static_cast<std::uint64_t>(tuned_settings::most_spin.count());
    s.spin = std::chrono::nanoseconds(static_cast<std::int64_t>(members::number(v, where, 0, most)));
  });
  read_setting(all, names::steal_near, into, plain(s.steal_near));
  read_setting(all, names::near_looks, into, count(s.near_looks, 0, tuned_settings::most_looks));
  read_setting(all, names::ring_slots, into,
               count(s.ring_slots, tuned_settings::least_slots, tuned_settings::most_slots));
  if (!std::has_single_bit(s.ring_slots)) throw error("settings.ring_slots.value is not a power of two");
  read_setting(all, names::topology_from_cache, into, plain(s.topology_from_cache));
  all.end();
}

machine_fingerprint read_machine(const json& from) {
  members all(from, "machine");
  machine_fingerprint m;
  m.cpu_model = all.need_text("cpu_model");
  m.hypervisor = all.need_text("hypervisor");
  m.cpus = all.need_count("cpus");
  m.cores = all.need_count("cores");
  m.l3_caches = all.need_count("l3_caches");
  m.numa_nodes = all.need_count("numa_nodes");
  m.packages = all.need_count("packages");
  all.end();
  return m;
}

ordered_json written(const machine_fingerprint& m) {
  return {{"cpu_model", m.cpu_model}, {"hypervisor", m.hypervisor}, {"cpus", m.cpus},        {"cores", m.cores},
          {"l3_caches", m.l3_caches}, {"numa_nodes", m.numa_nodes}, {"packages", m.packages}};
}

ordered_json written_settings(const profile& p) {
  const tuned_settings& s = p.settings;
  ordered_json all;
  const auto put = [&](const char* name, ordered_json value) {
    ordered_json one{{"value", std::move(value)}};
    if (const auto reason = p.reasons.find(name); reason != p.reasons.end()) one["reason"] = reason->second;
    all[name] = std::move(one);
  };
  put(names::workers, topo::name_of(s.workers));
  put(names::pin, s.pin);
  put(names::wait_policy, topo::name_of(s.policy));
  put(names::spin, s.spin.count());
  put(names::steal_near, topo::name_of(s.steal_near));
  put(names::near_looks, s.near_looks);
  put(names::ring_slots, s.ring_slots);
  put(names::topology_from_cache, s.topology_from_cache);
  return all;
}

/// hwloc trusts what it reads: of many a text with a few wrong characters it makes no error but a crash, in the program
/// that starts a pool. So the description comes with its hash (FNV-1a, 64 bits), and a damaged one is refused before
/// hwloc sees it. Not against forgers: who may write a user's files needs no crash.
std::string hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::string digits(16, '0');
  for (std::size_t i = digits.size(); i-- > 0; hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
  return digits;
}

}  // namespace

std::string to_json(const profile& p) {
  ordered_json all{{version_key, profile::version}, {"made_at", p.made_at}, {"made_by", p.made_by}};
  all["machine"] = written(p.machine);
  all["settings"] = written_settings(p);
  if (!p.topology.xml.empty()) {
    all["topology"] = {{"boot_id", p.topology.boot_id},
                       {"online", p.topology.online},
                       {"xml", p.topology.xml},
                       {"xml_hash", hash_of(p.topology.xml)}};
  }
  // What the machine tells of itself need not be UTF-8.
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

profile profile_from_json(const std::string& text) {
  const json parsed = parse(text);
  if (!parsed.is_object() || !parsed.contains(version_key)) {
    throw error(std::string("it is no profile of remuda: it has no \"") + version_key + "\"");
  }
  members all(parsed, "");
  // First of all, as other versions may have other members.
  const auto version =
      members::number(all.need(version_key), version_key, 0, std::numeric_limits<std::uint64_t>::max());
  if (version != profile::version) {
    throw error("it has version " + std::to_string(version) + " of the format; this remuda knows version " +
                std::to_string(profile::version) + ": run `remuda tune` again");
  }
  profile p;
  p.made_at = all.need_text("made_at");
  p.made_by = all.need_text("made_by");
  p.machine = read_machine(all.need("machine"));
  read_settings(all.need("settings"), p);
  if (const json* const topology = all.take("topology")) {
    members cached(*topology, "topology");
    p.topology.boot_id = cached.need_text("boot_id");
    p.topology.online = cached.need_text("online");
    p.topology.xml = cached.need_text("xml");
    if (cached.need_text("xml_hash") != hash_of(p.topology.xml)) {
      throw error("it is damaged: topology.xml is not the text that topology.xml_hash was made of");
    }
    cached.end();
  }
  all.end();
  return p;
}

}  // namespace remuda
