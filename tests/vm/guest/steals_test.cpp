// That thieves prefer near victims: some workers push tasks onto their own deques and run none of them, all others
// steal. Each stolen task looks whether a nearer victim still had work; by chance that would often be so.

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <latch>
#include <list>
#include <set>

#include "remuda/thread_pool.hpp"
#include "tests/vm/guest/kernel.hpp"

namespace remuda::vm {
namespace {

constexpr int tasks_each = 300;

struct victim {
  explicit victim(unsigned its_cpu) : cpu(its_cpu) {}
  const unsigned cpu;
  std::atomic<int> left{tasks_each};  // not yet counted by their thieves
};

struct counts {
  std::atomic<int> nearest{0};    // steals from the nearest victim that had work, while a farther one had some too
  std::atomic<int> passed_by{0};  // steals from a farther victim, while a nearer one had work
  std::atomic<int> only{0};       // steals that were no choice
  std::atomic<int> own{0};        // no steals
};

unsigned this_cpu() { return static_cast<unsigned>(::sched_getcpu()); }

/// Of the thief, which has this task from `from`.
void count_steal(std::list<victim>& victims, victim& from, std::latch& all_pushed, counts& seen) {
  const machine& m = machine::get();
  const unsigned thief = this_cpu();
  // Each thief, kept from its CPU for however long, may have one task in its hands that is not counted yet.
  const int in_hands = static_cast<int>(m.cpus.size() - victims.size());
  from.left.fetch_sub(1);
  bool nearer = false;
  bool farther = false;
  for (const victim& other : victims) {
    if (&other == &from || !all_pushed.try_wait() || other.left.load() <= in_hands) continue;
    nearer = nearer || m.farness(thief, other.cpu) < m.farness(thief, from.cpu);
    farther = farther || m.farness(thief, other.cpu) > m.farness(thief, from.cpu);
  }
  ++(thief == from.cpu ? seen.own : nearer ? seen.passed_by : farther ? seen.nearest : seen.only);
  all_pushed.wait();  // else one victim's tasks could be gone before another one has its CPU to push any
  // Long enough that the others come to their turn meanwhile.
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
  while (std::chrono::steady_clock::now() < end) {
  }
}

void expect_near_victims_first(const std::set<unsigned>& victim_cpus) {
  std::list<victim> victims;
  for (const unsigned cpu : victim_cpus) victims.emplace_back(cpu);
  counts seen;
  const auto total = static_cast<std::ptrdiff_t>(victims.size()) * tasks_each;
  std::latch all_pushed(static_cast<std::ptrdiff_t>(victims.size()));
  std::latch done(total);
  std::uint64_t stolen = 0;
  {
    thread_pool pool(static_cast<unsigned>(machine::get().cpus.size()));
    std::latch every(static_cast<std::ptrdiff_t>(pool.size()));
    for (unsigned i = 0; i < pool.size(); ++i) {
      pool.post([&] {
        every.arrive_and_wait();
        for (victim& me : victims) {
          if (me.cpu != this_cpu()) continue;
          for (int t = 0; t < tasks_each; ++t) {
            pool.post([&] {
              count_steal(victims, me, all_pushed, seen);
              done.count_down();
            });
          }
          all_pushed.count_down();
          done.wait();
        }
      });
    }
    pool.shutdown();
    stolen = pool.stats().total().stolen;
  }
  const int choices = seen.nearest + seen.passed_by;
  std::printf("   | victims on CPUs %s: %d steals from the nearest, %d from a farther one\n",
              format_list(victim_cpus).c_str(), seen.nearest.load(), seen.passed_by.load());
  EXPECT_EQ(seen.own, 0);
  EXPECT_EQ(choices + seen.only, total);
  EXPECT_GE(stolen, static_cast<std::uint64_t>(total)) << "as the pool counts";
  EXPECT_GE(choices, 100) << "too few to tell";
  EXPECT_LE(10 * seen.passed_by, choices) << "a nearer victim was passed by";
}

TEST(Steals, OfTheOwnNodeComeFirst) {
  std::set<unsigned> one_of_each_node;
  for (const unsigned node : machine::get().nodes) one_of_each_node.insert(*machine::get().cpus_of(node).begin());
  expect_near_victims_first(one_of_each_node);
}

TEST(Steals, OfTheCoreComeFirstThenOfTheNode) {
  // Every core but the last has a victim; of machines whose cores have one thread, every second one.
  std::set<unsigned> victims;
  unsigned nth = 0;
  const std::set<unsigned> cores = machine::get().cores();
  const bool smt = cores.size() < machine::get().cpus.size();
  for (const unsigned core : cores) {
    if (smt ? core != *cores.rbegin() : nth++ % 2 == 1) victims.insert(core);
  }
  expect_near_victims_first(victims);
}

TEST(Steals, OfTheNearestNodeComeFirst) {
  std::set<unsigned> victims;
  for (const unsigned node : {*machine::get().nodes.begin(), *machine::get().nodes.rbegin()}) {
    victims.insert(*machine::get().cpus_of(node).begin());
  }
  expect_near_victims_first(victims);
}

}  // namespace
}  // namespace remuda::vm
