#include "tools/remuda/bench/rows.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <map>

namespace remuda::tool::bench {
namespace {

using columns = std::vector<std::string>;
using spec_table = std::map<std::string, row_spec, std::less<>>;

const columns delays{"p50_us", "p99_us", "p999_us", "max_us"};
const columns delays_and_place{"p50_us", "p99_us", "p999_us", "max_us", "elsewhere"};
const columns until_started{"p50_us", "p999_us", "max_us", "never"};
const char* const two_lines = "cache_line_round_trip/two_lines";
const char* const queue = "moodycamel_item/plain";
const char* const atomic = "lock_cmpxchg/limit";

void add_thread_rows(spec_table& t) {
  t["round_trip_hot"] = {.title = "round trip, hot, one worker, on the other core",
                         .columns = delays_and_place,
                         .aims = {{"p50_us", 0.35}, {"p99_us", 2}},
                         .limit = two_lines};
  t["round_trip_hot_2_workers"] = {
      .title = "round trip, hot, two workers, nobody placed by hand", .columns = delays_and_place, .limit = two_lines};
  t["round_trip_1ms"] = {.title = "round trip, 1 ms apart, on the other core",
                         .columns = delays_and_place,
                         .aims = {{"p50_us", 19}, {"p99_us", 26}},
                         .limit = "wake_to_run/after_1ms"};
  t["round_trip_1ms_parked"] = {.title = "round trip, 1 ms apart, both sides asleep",
                                .columns = delays_and_place,
                                .aim_of_limit = 1.05,
                                .limit = "futex_round_trip/after_1ms"};
  t["round_trip_1ms_helping"] = {.title = "round trip, 1 ms apart, the waiter may run the task",
                                 .columns = delays_and_place,
                                 .aims = {{"p50_us", 12}},
                                 .limit = "futex_wake_call/after_1ms"};
  t["behind_backlog"] = {.title = "from outside, behind 200 tasks of 1 ms that queue themselves again, 2 workers",
                         .columns = until_started,
                         .aims = {{"p999_us", 105'000}}};
  t["behind_backlog_from_inside"] = {.title = "the same, when a task of the pool starts the 200",
                                     .columns = until_started,
                                     .aims = {{"p999_us", 105'000}}};
  t["one_producer"] = {
      .title = "one producer, 1 worker, a task", .columns = {"ns"}, .aims = {{"ns", 45}}, .limit = queue};
  t["one_producer_2_workers"] = {
      .title = "one producer, 2 workers, a task", .columns = {"ns"}, .aims = {{"ns", 45}}, .limit = queue};
  t["two_producers"] = {
      .title = "two producers, 2 workers, a task", .columns = {"ns"}, .aims = {{"ns", 35}}, .limit = queue};
  t["futures_kept"] = {
      .title = "futures kept, then all waited for, a task", .columns = {"ns"}, .aims = {{"ns", 120}}, .limit = queue};
  t["spawn_flat"] = {
      .title = "spawned inside, by one task, a task", .columns = {"ns"}, .aims = {{"ns", 25}}, .limit = atomic};
  t["spawn_tree"] = {
      .title = "spawned inside, two by each, a task", .columns = {"ns"}, .aims = {{"ns", 10}}, .limit = atomic};
  t["callback"] = {.title = "callback on completion, a task", .columns = {"ns"}, .aims = {{"ns", 120}}, .limit = queue};
  t["allocations"] = {.title = "heap calls a submit, after warm-up",
                      .columns = {"per_submit"},
                      .aims = {{"per_submit", 0}},
                      .note = "what a library's own allocator recycles is not counted"};
  t["idle_cpu"] = {.title = "idle, CPU time of the workers in 5 s", .columns = {"cpu_ms"}, .aims = {{"cpu_ms", 0.1}}};
  t["many_workers"] = {.title = "64 workers: start to first result, and stop",
                       .columns = {"p50_us", "p99_us", "stop_p50_us", "stop_p99_us"},
                       .aims = {{"p50_us", 1500}, {"stop_p50_us", 1000}},
                       .note =
                           "python starts a thread for a task that needs one: it gets 64 tasks that wait for each "
                           "other"};
  t["nested_wait"] = {.title = "8 tasks that wait for a child, 2 workers: how many end",
                      .columns = {"finished"},
                      .aims = {{"finished", 8}},
                      .at_least = true};
}

void add_process_rows(spec_table& t) {
  t["process_round_trip_hot"] = {.title = "process pool: round trip of an empty task, hot, on the other core",
                                 .columns = delays_and_place,
                                 .aim_of_limit = 2,
                                 .limit = "process_round_trip_hot/shm_ring"};
  t["process_round_trip_parked"] = {.title = "process pool: round trip, 1 ms apart, both sides asleep",
                                    .columns = delays_and_place,
                                    .aim_of_limit = 1.1,
                                    .limit = "process_round_trip_parked/shm_futex"};
  t["process_behind_long_task"] = {
      .title = "process pool: 20 empty tasks behind one of 20 ms, 2 workers, until the last is done",
      .columns = delays};
  t["process_stream"] = {.title = "process pool: many in flight, 1 worker, a task",
                         .columns = {"ns", "elsewhere"},
                         .aims = {{"ns", 200}},
                         .limit = "process_stream/shm_ring",
                         .note =
                             "every task is submitted and its result taken by itself, except in those called "
                             "chunks"};
  t["process_stream_2_workers"] = {.title = "process pool: many in flight, 2 workers, a task",
                                   .columns = {"ns", "elsewhere"}};
  t["process_argument_1mib"] = {
      .title = "process pool: an argument of 1 MiB, until the task that got it has answered",
      .columns = delays_and_place,
      .aim_of_limit = 1.5,
      .limit = "process_argument_1mib/memcpy",
      .note =
          "the limit is one copy inside one process; shm_ring passes it through chunks of 64 KiB; making the "
          "argument is not counted"};
  t["process_argument_16mib"] = {
      .title =
          "process pool: a shared buffer of 16 MiB as argument, until the task that looked at its first and last "
          "byte has answered",
      .columns = delays_and_place,
      .aim_over = {"remuda_no_argument", 2},
      .limit = "process_argument_16mib/shm_ring_no_argument",
      .note =
          "the caller has just changed both bytes; the buffer is the same each time, but in remuda_new_each_time, "
          "whose worker falls asleep while it is made and filled; no_argument is the plain round trip; those "
          "called copied and pickled pass a copy, which is another thing, and memcpy is one copy inside one "
          "process"};
  t["process_start"] = {
      .title = "process pool: start of 2 workers to the first result, and stop",
      .columns = {"p50_us", "p99_us", "max_us", "stop_p50_us"},
      .aims = {{"p50_us", 5000}},
      .limit = "process_start/fork_twice",
      .note = "exec_own_and_end executes this program and waits for its end: part of what remuda does"};
  t["process_replace"] = {
      .title = "process pool: from the kill of the only worker to a result of another one",
      .columns = delays,
      .aims = {{"p50_us", 1000}},
      .limit = "process_replace/fork",
      .note =
          "Python's executors are broken then: a new one is made by hand; fork is a kill, a fork and a first "
          "answer"};
  t["process_memory"] = {.title = "process pool: memory of a worker",
                         .columns = {"private_dirty_kib", "pss_kib", "rss_kib"},
                         .limit = "process_memory/fork"};
  t["reuse_vs_spawn"] = {
      .title = "an empty task, from a plain call to a program executed for it",
      .columns = {"p50_us", "p99_us", "max_us", "even_at_us", "tenth_at_us", "elsewhere"},
      .note =
          "both from p50; even at: from this length on two tasks, one done there and one meanwhile here, are done "
          "sooner than both here; tenth at: from this length on the cost is at most a tenth of the whole"};
}

/// A comma before every third digit from the end.
std::string with_thousands(long long value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    out += digits[i];
    const std::size_t left = digits.size() - i - 1;
    if (left > 0 && left % 3 == 0 && digits[i] != '-') out += ',';
  }
  return out;
}

}  // namespace

const row_spec* find_spec(std::string_view row) {
  static const spec_table all = [] {
    spec_table t;
    add_thread_rows(t);
    add_process_rows(t);
    return t;
  }();
  const auto found = all.find(row);
  return found == all.end() ? nullptr : &found->second;
}

const std::vector<scaling_series>& scaling() {
  static const std::vector<scaling_series> all = {
      {"workers", "one producer", "workers", {{1, "one_producer"}, {2, "one_producer_2_workers"}}},
      {"producers", "2 workers", "producers", {{1, "one_producer_2_workers"}, {2, "two_producers"}}},
      {"processes",
       "process pool, many in flight",
       "workers",
       {{1, "process_stream"}, {2, "process_stream_2_workers"}}},
      {"round_trip", "round trip, hot", "workers", {{1, "round_trip_hot"}, {2, "round_trip_hot_2_workers"}}},
  };
  return all;
}

std::string_view unit(std::string_view column) {
  const auto last = column.substr(column.rfind('_') + 1);  // npos + 1 is 0: all of it
  for (const std::string_view known : {"ns", "us", "ms"}) {
    if (last == known) return known;
  }
  return last == "kib" ? "KiB" : "";
}

std::string label(std::string_view column) {
  std::string text(column);
  for (char& c : text) {
    if (c == '_') c = ' ';
  }
  if (text.ends_with(" kib")) text.replace(text.size() - 3, 3, "KiB");
  if (const auto at = text.find("p999"); at != std::string::npos) text.replace(at, 4, "p99.9");
  return text;
}

std::string number(double value) {
  if (!std::isfinite(value)) return "-";
  if (value == std::trunc(value) && std::fabs(value) < 1e6) return fmt::format("{:.0f}", value);
  if (std::fabs(value) >= 100 && std::fabs(value) < 1e15) return with_thousands(std::llround(value));
  return fmt::format("{:.3g}", value);
}

}  // namespace remuda::tool::bench
