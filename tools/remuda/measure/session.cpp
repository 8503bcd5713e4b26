#include "tools/remuda/measure/session.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <deque>
#include <memory>
#include <set>
#include <utility>

#include "tools/remuda/measure/conditions.hpp"
#include "tools/remuda/measure/measuring.hpp"
#include "tools/remuda/measure/time_division.hpp"

namespace remuda::tool {
namespace {

struct step {
  std::string label;
  double weight;  // share of the time; all steps of one measurement together have its weight
  std::function<void(const limit&)> take;
};

std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// Leaves the CPUs that a thread can be sent to, and says why of the others.
void keep_usable(topology& machine, std::vector<std::string>& doubts) {
  std::erase_if(machine.cpus, [&](const cpu& each) {
    try {
      on_cpu(each.os_index, [] {});
      return false;
    } catch (const cannot_pin& e) {
      doubts.emplace_back(std::string(e.what()) + "; it was left out");
      return true;
    }
  });
}

class session {
 public:
  explicit session(const measure_settings& settings) : settings_(settings), machine_(settings.machine) {
    keep_usable(machine_, doubts_);
    matrix_ = choose_cpus(machine_);
    add_steps();
  }

  topo::measurements run() {
    std::vector<unsigned> cpus;
    for (const cpu& each : machine_.cpus) cpus.push_back(each.os_index);
    const auto start = clock::now();
    const snapshot before = look(cpus);
    take_turns(start);
    topo::measurements m = results();
    m.taken_at = now_in_utc();
    m.seconds = nanoseconds_between(start, clock::now()) * 1e-9;
    m.doubts = doubts_;
    for (std::string& each : doubts_of(m, between(before, look(cpus), cpus.size())))
      m.doubts.push_back(std::move(each));
    return m;
  }

 private:
  struct steal {
    pair_of_nearness pair;
    samples costs;
  };
  struct memory_pair {
    unsigned cpu_node;
    unsigned memory_node;
    samples latency, bandwidth;
  };
  struct jitter {
    unsigned cpu;
    jitter_so_far sum;
  };

  bool wanted(const char* name) const {
    return settings_.only.empty() ||
           std::find(settings_.only.begin(), settings_.only.end(), name) != settings_.only.end();
  }

  void add(std::string label, double weight, std::function<void(const limit&)> take) {
    steps_.push_back({std::move(label), weight, std::move(take)});
  }

  void add_steps() {
    const auto pair = near_pair(machine_);
    if (pair) {
      if (wanted("core_to_core")) add_lines();
      if (wanted("wake")) add_wakes(*pair);
      if (wanted("ring")) {
        add("ring between processes", 8, [this, pair](const limit& l) { measure_ring(*pair, l, ring_); });
      }
      if (wanted("steal")) add_steals();
    } else {
      leave_out_pairs();
    }
    const auto any = machine_.cpus.empty() ? std::nullopt : std::optional(machine_.cpus.front().os_index);
    if (wanted("pause")) add("pause", 4, [this, any](const limit& l) { measure_pause(any, l, pause_); });
    if (wanted("memory")) add_memory();
    if (wanted("jitter")) add_jitter();
  }

  void leave_out_pairs() {
    std::vector<const char*> missed;
    for (const char* name : {"core_to_core", "wake", "ring", "steal"}) {
      if (wanted(name)) missed.push_back(name);
    }
    if (missed.empty()) return;
    const std::string have = machine_.cpus.empty() ? "there is none that a thread can be sent to"
                                                   : fmt::format("there is only CPU {}", machine_.cpus[0].os_index);
    doubts_.push_back(fmt::format("{} need{} two CPUs, and {}: not measured", fmt::join(missed, ", "),
                                  missed.size() == 1 ? "s" : "", have));
  }

  void add_lines() {
    const std::size_t count = matrix_.size();
    lines_.assign(count * count, samples(4'096));
    const double weight = 30.0 / (static_cast<double>(count * (count - 1)) / 2);
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = a + 1; b < count; ++b) {
        const cpu_pair pair{matrix_[a].os_index, matrix_[b].os_index};
        add(fmt::format("core to core {} - {}", pair.first, pair.second), weight,
            [this, pair, place = a * count + b](const limit& l) { measure_line(pair, l, lines_[place]); });
      }
    }
  }

  void add_wakes(cpu_pair pair) {
    static constexpr nanoseconds hot{20'000}, cold{2'000'000};
    add("wake-up, hot", 8, [this, pair](const limit& l) { measure_wake(pair, hot, l, calls_, wakes_hot_); });
    add("wake-up, cold", 14, [this, pair](const limit& l) {
      samples cold_calls;
      measure_wake(pair, cold, l, cold_calls, wakes_cold_);
    });
  }

  void add_steals() {
    const auto pairs = one_pair_each(machine_.cpus);
    for (const pair_of_nearness& each : pairs) {
      steal& s = steals_.emplace_back(steal{each, samples()});
      add(fmt::format("steal ({})", name_of(each.kind)), 10.0 / static_cast<double>(pairs.size()),
          [&s](const limit& l) { measure_steal(s.pair.cpus, l, s.costs); });
    }
  }

  // One CPU of each node against the memory of each node.
  void add_memory() {
    constexpr std::size_t most_pairs = 64;
    std::vector<std::pair<unsigned, std::optional<unsigned>>> from;  // node, one of its CPUs
    std::set<unsigned> seen;
    for (const cpu& each : machine_.cpus) {
      const unsigned node = each.numa_node == unknown_id ? 0 : each.numa_node;
      if (seen.insert(node).second) from.emplace_back(node, each.os_index);
    }
    if (from.empty()) from.emplace_back(0, std::nullopt);
    std::vector<unsigned> to = machine_.numa_nodes;
    if (to.empty()) to.push_back(0);
    to.resize(std::min(to.size(), most_pairs));
    from.resize(std::min(from.size(), most_pairs / to.size()));

    area_bytes_ = memory_area_bytes(last_cache_bytes(), available_memory(), to.size());
    if (area_bytes_ < 2 * last_cache_bytes()) {
      doubts_.push_back(fmt::format("memory: only {} MiB could be used to measure with, the last cache has {} MiB",
                                    area_bytes_ >> 20, last_cache_bytes() >> 20));
    }
    const double weight = 20.0 / static_cast<double>(from.size() * to.size());
    for (const unsigned memory_node : to) {
      auto& area = areas_.emplace_back();
      for (const auto& [cpu_node, cpu] : from) {
        memory_pair& p = memory_.emplace_back(memory_pair{cpu_node, memory_node, samples(), samples()});
        const std::string way = fmt::format("of node {} from node {}", memory_node, cpu_node);
        add("memory latency " + way, weight / 2, [this, &area, &p, cpu = cpu](const limit& l) {
          if (memory_area* found = area_of(area, p.memory_node)) found->measure_latency(cpu, l, p.latency);
        });
        add("memory bandwidth " + way, weight / 2, [this, &area, &p, cpu = cpu](const limit& l) {
          if (memory_area* found = area_of(area, p.memory_node)) found->measure_bandwidth(cpu, l, p.bandwidth);
        });
      }
    }
  }

  // Made when it is first needed. Null for a node that has no memory to give.
  memory_area* area_of(std::unique_ptr<memory_area>& area, unsigned node) {
    if (without_memory_.contains(node)) return nullptr;
    if (!area) {
      area = std::make_unique<memory_area>(node, area_bytes_);
      if (area->node().value_or(node) != node && machine_.numa_nodes.size() > 1) {
        doubts_.push_back(
            fmt::format("memory of node {} could not be had: the node has none left, or the system decides "
                        "itself where memory comes from; it was left out",
                        node));
        without_memory_.insert(node);
        area.reset();
      }
    }
    return area.get();
  }

  void add_jitter() {
    for (const cpu& each : matrix_) {
      jitter& j = jitter_.emplace_back(jitter{each.os_index, {}});
      add(fmt::format("jitter of CPU {}", each.os_index), 16.0 / static_cast<double>(matrix_.size()),
          [&j](const limit& l) { measure_jitter(j.cpu, l, j.sum); });
    }
  }

  void take_turns(clock::time_point start) {
    // Many rounds are better against drift; but a step of less than some milliseconds is mostly its threads' start.
    constexpr double least_step = 0.005, most_rounds = 10;
    const double steps = static_cast<double>(std::max<std::size_t>(steps_.size(), 1));
    const double rounds = std::clamp(std::floor(settings_.seconds / (steps * least_step)), 1.0, most_rounds);
    double weights = 0;
    for (const step& each : steps_) weights += each.weight * rounds;
    time_division time(settings_.seconds, weights);
    const double all_weights = weights;
    double weights_done = 0;

    for (double round = 0; round < rounds; ++round) {
      for (step& each : steps_) {
        if (interrupts::seen() != 0) return;
        const double passed = nanoseconds_between(start, clock::now()) * 1e-9;
        settings_.progress(weights_done / all_weights, std::max(0.0, settings_.seconds - passed), each.label);
        weights_done += each.weight;
        if (!each.take) {
          time.leave_out(each.weight);
          continue;
        }
        // The bound holds from the second round on; the first one is what there is to tell at all.
        if (round > 0 && passed >= settings_.seconds) return;
        const std::chrono::duration<double> share{time.next(each.weight, passed)};
        try {
          each.take(limit(clock::now() + std::chrono::duration_cast<clock::duration>(share)));
        } catch (const cannot_pin& e) {
          doubts_.push_back(each.label + " was left out: " + e.what());
          each.take = nullptr;
        }
      }
    }
  }

  topo::measurements results() const {
    topo::measurements m;
    for (const cpu& each : matrix_) m.cpus.push_back(each.os_index);
    m.core_to_core.reserve(lines_.size());
    for (const samples& each : lines_) m.core_to_core.push_back(each.summarise());
    for (std::size_t a = 0; a * a < lines_.size(); ++a) {  // a round trip is the same from both ends
      for (std::size_t b = 0; b < a; ++b)
        m.core_to_core[a * matrix_.size() + b] = m.core_to_core[b * matrix_.size() + a];
    }
    m.pause = pause_.summarise();
    m.futex_call = calls_.summarise();
    m.wake_hot = wakes_hot_.summarise();
    m.wake_cold = wakes_cold_.summarise();
    m.ring_round_trip = ring_.summarise();
    for (const steal& each : steals_) {
      if (!each.costs.values().empty()) m.steals.push_back({name_of(each.pair.kind), each.costs.summarise()});
    }
    for (const memory_pair& each : memory_) {
      if (each.latency.values().empty()) continue;
      m.memory.push_back({each.cpu_node, each.memory_node, each.latency.summarise(), each.bandwidth.summarise()});
    }
    for (const jitter& each : jitter_) {
      if (each.sum.ns > 0) m.jitter.push_back(summarise(each.cpu, each.sum));
    }
    return m;
  }

  const measure_settings& settings_;
  topology machine_;
  std::vector<std::string> doubts_;
  std::vector<cpu> matrix_;
  std::vector<step> steps_;

  std::vector<samples> lines_;  // row-major; filled above the diagonal
  samples pause_, calls_, wakes_hot_, wakes_cold_, ring_;
  // steps hold on to members of these
  std::deque<steal> steals_;
  std::deque<memory_pair> memory_;
  std::deque<jitter> jitter_;
  std::deque<std::unique_ptr<memory_area>> areas_;
  std::set<unsigned> without_memory_;
  std::size_t area_bytes_ = 0;
};

}  // namespace

const std::vector<std::string>& measurement_names() {
  static const std::vector<std::string> names{"core_to_core", "pause", "wake", "ring", "steal", "memory", "jitter"};
  return names;
}

topo::measurements measure(const measure_settings& settings) { return session(settings).run(); }

}  // namespace remuda::tool
