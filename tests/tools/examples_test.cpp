// The examples keep the promises that their first lines make.

#include <algorithm>
#include <cstddef>
#include <set>
#include <sstream>

#include "run_program.hpp"

namespace {

using tools_test::finished;
using tools_test::run_program;

std::string example(const std::string& name) {
#ifdef REMUDA_EXAMPLES_DIR
  return std::string(REMUDA_EXAMPLES_DIR) + '/' + name;
#else
  const char* folder = std::getenv("REMUDA_EXAMPLES_DIR");
  return std::string(folder != nullptr ? folder : ".") + '/' + name;
#endif
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What holds on an idle machine may fail once when the program loses its CPU at the wrong moment for longer than a task
// sleeps; a program that is wrong fails always.
constexpr int tries = 20;

/// Runs the program until its output pleases.
template <class Check>
bool some_run(const std::string& program, Check pleases) {
  for (int i = 0; i < tries; ++i) {
    const finished f = run_program({program});
    if (f.status != 0) return false;
    if (pleases(lines_of(f.out))) return true;
  }
  return false;
}

TEST(examples, origin_prints_all_results_from_at_most_ten_workers) {
  const finished f = run_program({example("origin")});
  ASSERT_EQ(f.status, 0) << f.err;
  EXPECT_EQ(f.err, "");
  std::multiset<int> values;
  std::multiset<int> expected;
  std::set<long> workers;
  for (int name = 0; name < 50; ++name) expected.insert(name + 10);
  int others = 0;
  for (const auto& line : lines_of(f.out)) {
    int value = 0;
    long worker = 0;
    int length = 0;
    if (std::sscanf(line.c_str(), "result %d from worker %ld%n", &value, &worker, &length) == 2) {
      EXPECT_EQ(static_cast<std::size_t>(length), line.size()) << "not a whole line: " << line;
      values.insert(value);
      workers.insert(worker);
    } else {
      EXPECT_EQ(line.rfind("main: ", 0), 0U) << "not a whole line: " << line;
      ++others;
    }
  }
  EXPECT_EQ(values, expected);
  EXPECT_LE(workers.size(), 10U);
  EXPECT_EQ(others, 2);
}

TEST(examples, origin_main_line_goes_on_before_the_first_result) {
  EXPECT_TRUE(some_run(example("origin"), [](const std::vector<std::string>& lines) {
    return lines.front() == "main: 50 tasks submitted, going on";
  }));
}

TEST(examples, origin_processes_uses_each_of_its_workers) {
  EXPECT_TRUE(some_run(example("origin_processes"), [](const std::vector<std::string>& lines) {
    return lines.back() == "main: 50 results from 3 processes";
  }));
}

TEST(examples, in_order_of_completion) {
  std::set<std::string> expected;
  for (const char* ms : {"50", "100", "150", "200", "250"}) expected.insert(std::string("awake after ") + ms + " ms");
  EXPECT_TRUE(some_run(example("in_order_of_completion"), [&](const std::vector<std::string>& lines) {
    std::vector<int> naps;
    std::set<std::string> awake;
    for (const auto& line : lines) {
      int ms = 0;
      if (std::sscanf(line.c_str(), "awake after %d ms", &ms) != 1) continue;
      naps.push_back(ms);
      awake.insert(line);
    }
    EXPECT_EQ(awake, expected);
    EXPECT_EQ(naps.size(), expected.size());
    return std::is_sorted(naps.begin(), naps.end());
  }));
}

TEST(examples, pipe_then_passes_values_and_errors_on) {
  const finished f = run_program({example("pipe_then")});
  ASSERT_EQ(f.status, 0) << f.err;
  EXPECT_EQ(f.out, "12 squared is 144\nerror: 'seven' is not a number\n30 squared is 900\n");
}

}  // namespace
