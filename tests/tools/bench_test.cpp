// remuda bench: runs made-up benchmark programs, as a user would run the real ones.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "remuda/profile.hpp"
#include "tests/tools/run_program.hpp"
#include "tools/remuda/bench/child.hpp"
#include "tools/remuda/bench/folder.hpp"
#include "tools/remuda/bench/programs.hpp"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using tools_test::finished;
using tools_test::read_file;
using tools_test::run_program;
using tools_test::temporary_folder;
namespace bench = remuda::tool::bench;

constexpr int good = 0, failed = 1, wrong_use = 2, incomplete = 11;
const fs::path made_up = fs::path(REMUDA_TEST_DATA) / "bench_report.json";

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

finished bench_command(std::vector<std::string> arguments, const std::function<void()>& prepare = {}) {
  arguments.insert(arguments.begin(), {REMUDA_PROGRAM, "bench"});
  return run_program(arguments, prepare);
}

/// What Google Benchmark would write of these rounds of one contestant, in ns.
std::string results(const std::string& contestant, const std::vector<double>& rounds) {
  json all = {{"context", {{"compiler", "g++ 1"}, {"build_type", "Release"}, {"remuda_version", "0"}}},
              {"benchmarks", json::array()}};
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    all["benchmarks"].push_back({{"name", contestant + "/round:" + std::to_string(i + 1) + "/iterations:1"},
                                 {"run_name", contestant},
                                 {"real_time", 1.0},
                                 {"ns", rounds[i]}});
  }
  return all.dump(2);
}

/// A folder of programs that do as the real ones do, or what a test wants them to.
class suite {
 public:
  suite() {
    for (const auto& name : bench::program_names()) program(name, "", "exit 0");
  }

  /// It lists these turns, each that the filter matches; then `script` runs, with the file for the results in $out.
  void program(const std::string& name, const std::string& turns, const std::string& script) const {
    const auto path = folder_.write("programs/" + name,
                                    "#!/bin/sh\n"
                                    "for a; do case $a in\n"
                                    "  --benchmark_list_tests=true) list=1 ;;\n"
                                    "  --benchmark_filter=*) filter=${a#*=} ;;\n"
                                    "  --benchmark_out=*) out=${a#*=} ;;\n"
                                    "  --quick) quick=1 ;;\n"
                                    "esac; done\n"
                                    "if [ \"$list\" ]; then printf '" +
                                        turns + "' | grep -E -- \"$filter\"; exit 0; fi\n" + script + "\n");
    fs::permissions(path, fs::perms::owner_all);
  }

  /// A program that measures what it is told to.
  void measures(const std::string& name, const std::string& contestant, const std::vector<double>& rounds,
                const std::string& afterwards = "") const {
    std::string turns;
    for (std::size_t i = 1; i <= rounds.size(); ++i) turns += contestant + "/round:" + std::to_string(i) + "\\n";
    program(name, turns, "cat >$out <<'END'\n" + results(contestant, rounds) + "\nEND\n" + afterwards);
  }

  fs::path path() const { return folder_.path() / "programs"; }
  fs::path report() const { return folder_.path() / "report"; }
  fs::path file(const std::string& name) const { return folder_.path() / name; }

  finished run(std::vector<std::string> more = {}, const std::function<void()>& prepare = {}) const {
    more.insert(more.begin(), {"--programs", path().string(), "-o", report().string()});
    return bench_command(more, prepare);
  }
  json result() const { return json::parse(read_file(report() / "report.json")); }

 private:
  temporary_folder folder_;
};

json program_in(const json& report, const std::string& name) {
  for (const auto& p : report.at("programs")) {
    if (p.at("name") == name) return p;
  }
  return {};
}

json contestant_in(const json& report, const std::string& row, const std::string& name) {
  for (const auto& r : report.at("rows")) {
    if (r.at("row") != row) continue;
    for (const auto& c : r.at("contestants")) {
      if (c.at("name") == name) return c;
    }
  }
  return {};
}

TEST(bench, measures_with_the_built_in_settings_or_with_those_of_a_named_profile) {
  const suite s;
  const auto seen = s.file("seen");
  s.measures("thread_pool_costs", "callback/remuda", {1}, "printf %s \"${REMUDA_PROFILE-not set}\" >" + seen.string());
  ::setenv("REMUDA_PROFILE", s.file("of_the_user").c_str(), 1);
  s.run();
  EXPECT_EQ(read_file(seen), "");
  EXPECT_EQ(s.result().at("host").at("profile"), "");

  remuda::profile p;
  p.made_at = "2030-01-02T03:04:05Z";
  p.machine = remuda::this_machine_fingerprint();
  const auto file = s.file("profile.json");
  std::ofstream(file) << remuda::to_json(p);
  fs::remove_all(s.report());
  s.run({"--profile", file.string()});
  EXPECT_EQ(read_file(seen), file.string());
  EXPECT_EQ(s.result().at("host").at("profile"), "profile.json, made at 2030-01-02T03:04:05Z");

  fs::remove(file);
  fs::remove_all(s.report());
  const finished f = s.run({"--profile", file.string()});
  EXPECT_EQ(f.status, failed);
  EXPECT_TRUE(contains(f.err, "remuda tune -o FILE")) << f.err;
  EXPECT_FALSE(fs::exists(s.report()));
}

TEST(bench, writes_what_all_programs_measured_and_the_conditions) {
  const suite s;
  s.measures("limits", "moodycamel_item/plain", {20, 22, 21});
  s.measures("thread_pool_throughput", "one_producer/remuda", {40, 44, 42});
  const finished f = s.run();
  ASSERT_EQ(f.status, good) << f.err;
  const json r = s.result();
  EXPECT_EQ(r.at("version"), 1);
  EXPECT_EQ(contestant_in(r, "one_producer", "remuda").at("rounds").at("ns"), json({40, 44, 42}));
  EXPECT_EQ(contestant_in(r, "one_producer", "remuda").at("median").at("ns"), 42);
  EXPECT_FALSE(contestant_in(r, "one_producer", "remuda").at("rounds").contains("real_time"));
  EXPECT_EQ(r.at("rows").at(1).at("limit").at("value"), 21);
  EXPECT_EQ(r.at("aims_reached"), 1);
  EXPECT_EQ(program_in(r, "thread_pool_throughput").at("ended"), "measured");
  EXPECT_EQ(program_in(r, "reuse_vs_spawn").at("ended"), "nothing matched");
  EXPECT_FALSE(r.at("host").at("kernel").get<std::string>().empty());
  EXPECT_GE(r.at("host").at("usable_cpus"), 1);
  EXPECT_EQ(r.at("host").at("compiler"), "g++ 1");
  EXPECT_TRUE(contains(read_file(s.report() / "index.html"), "one_producer"));
  EXPECT_TRUE(contains(f.out, "limit: moodycamel item, plain 21 ns")) << f.out;
  EXPECT_TRUE(contains(f.out, "1 aims reached, 0 missed")) << f.out;
  EXPECT_EQ(json::parse(bench_command({"--programs", s.path().string(), "-o", s.file("j").string(), "--json"}).out)
                .at("rows"),
            r.at("rows"));
}

TEST(bench, the_filter_leaves_the_limits) {
  const suite s;
  s.measures("limits", "pause/limit", {20});
  s.measures("thread_pool_throughput", "one_producer/remuda", {40});
  s.program("thread_pool_costs", "callback/remuda/round:1\\n", "exit 1");
  const finished f = s.run({"one_pro", "--quick"});
  ASSERT_EQ(f.status, good) << f.err;
  const json r = s.result();
  EXPECT_EQ(program_in(r, "limits").at("ended"), "measured");
  EXPECT_EQ(program_in(r, "thread_pool_costs").at("ended"), "nothing matched");
  EXPECT_EQ(r.at("filter"), "one_pro");
  EXPECT_EQ(r.at("quick"), true);
}

TEST(bench, what_is_nothing_to_run_is_told_before_anything_is_made) {
  const suite s;
  s.measures("limits", "pause/limit", {20});
  s.measures("thread_pool_throughput", "one_producer/remuda", {40});
  struct wrong {
    std::vector<std::string> arguments;
    int status;
    std::string said;
  };
  const std::vector<wrong> all = {
      {{"no_such_row", "--programs", s.path().string()}, failed, "no row matches 'no_such_row'"},
      {{"((", "--programs", s.path().string()}, wrong_use, "not a regular expression"},
      {{"--programs", s.file("nowhere").string()}, failed, "no benchmark program in"},
      {{"--programs", s.path().string(), "--measurements", "/nowhere"}, failed, "cannot read /nowhere"},
  };
  for (const wrong& w : all) {
    auto arguments = w.arguments;
    arguments.insert(arguments.end(), {"-o", s.report().string()});
    const finished f = bench_command(arguments);
    EXPECT_EQ(f.status, w.status) << f.err;
    EXPECT_TRUE(contains(f.err, w.said)) << f.err;
    EXPECT_FALSE(fs::exists(s.report()));
  }
}

TEST(bench, a_program_that_fails_is_named_and_what_it_measured_is_kept) {
  const suite s;
  const auto whole = results("one_producer/remuda", {40, 41});
  // it breaks off within the second run, as the file of a program that died does
  const auto broken = whole.substr(0, whole.find("round:2"));
  s.program("thread_pool_throughput", "one_producer/remuda/round:1\\n",
            "cat >$out <<'END'\n" + broken + "\nEND\necho the last words\nkill -SEGV $$");
  s.measures("thread_pool_costs", "callback/remuda", {50}, "exit 3");
  s.program("process_pool_costs", "process_start/remuda/round:1\\n", "echo no JSON >$out");
  s.measures("reuse_vs_spawn", "futures_kept/remuda", {60});
  fs::remove(s.path() / "process_pool_latency");
  const finished f = s.run();
  EXPECT_EQ(f.status, incomplete) << f.err;
  const json r = s.result();
  const json dead = program_in(r, "thread_pool_throughput");
  EXPECT_EQ(dead.at("ended"), "failed");
  EXPECT_TRUE(contains(dead.at("detail"), "signal 11")) << dead;
  EXPECT_TRUE(contains(dead.at("detail"), "the last words")) << dead;
  EXPECT_EQ(contestant_in(r, "one_producer", "remuda").at("rounds").at("ns"), json({40}));
  EXPECT_EQ(program_in(r, "thread_pool_costs").at("ended"), "failed");
  EXPECT_EQ(contestant_in(r, "callback", "remuda").at("rounds").at("ns"), json({50}));
  EXPECT_EQ(program_in(r, "process_pool_costs").at("ended"), "failed");
  EXPECT_EQ(program_in(r, "process_pool_latency").at("ended"), "not there");
  EXPECT_EQ(contestant_in(r, "futures_kept", "remuda").at("rounds").at("ns"), json({60}));
  const auto page = read_file(s.report() / "index.html");
  for (const char* name :
       {"thread_pool_throughput", "thread_pool_costs", "process_pool_costs", "process_pool_latency"}) {
    EXPECT_TRUE(contains(f.err.substr(f.err.rfind("not measured")), name)) << f.err;
    EXPECT_TRUE(contains(page, std::string("<li>") + name)) << name;
  }
}

TEST(bench, what_is_there_already_is_not_overwritten) {
  const suite s;
  s.measures("thread_pool_costs", "callback/remuda", {50}, "touch " + s.file("ran").string());
  fs::create_directories(s.report());
  std::ofstream(s.report() / "mine") << "text";
  const finished f = s.run();
  EXPECT_EQ(f.status, failed);
  EXPECT_TRUE(contains(f.err, "not overwritten")) << f.err;
  EXPECT_EQ(read_file(s.report() / "mine"), "text");
  EXPECT_FALSE(fs::exists(s.file("ran")));
  fs::remove(s.report() / "mine");
  EXPECT_EQ(s.run().status, good) << "an empty folder is welcome";
}

TEST(bench, a_report_that_cannot_be_written_is_told) {
  const suite s;
  s.measures("thread_pool_costs", "callback/remuda", {50}, "touch " + s.file("ran").string());
  std::ofstream(s.report()) << "a file where the folder should be";
  const finished f = s.run();
  EXPECT_EQ(f.status, failed);
  EXPECT_TRUE(contains(f.err, s.report().string())) << f.err;
  EXPECT_FALSE(fs::exists(s.file("ran"))) << "it measured, for nothing";

  const auto small_disk = [] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit bytes{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &bytes);
  };
  const auto target = s.file("target");
  const finished full = bench_command({"--from", made_up.string(), "-o", target.string()}, small_disk);
  EXPECT_EQ(full.status, failed);
  EXPECT_TRUE(contains(full.err, std::generic_category().message(EFBIG))) << full.err;
  EXPECT_FALSE(fs::exists(target)) << "half a report was left";
}

TEST(bench, control_c_ends_all_and_leaves_nothing) {
  const suite s;
  const auto pids = s.file("pids");
  // the program, and a process in a group of its own, as those of `timeout` are
  s.program("thread_pool_costs", "callback/remuda/round:1\\n",
            "setsid sleep 1000 & echo $! >" + pids.string() + ".new; echo $$ >>" + pids.string() + ".new; mv " +
                pids.string() + ".new " + pids.string() + "; wait");
  finished f;
  std::thread interrupting([&] { f = s.run({}, [] {}); });
  // the program asks to be found by its child: the process that `remuda bench` is
  while (!fs::exists(pids)) std::this_thread::sleep_for(1ms);
  std::ifstream file(pids);
  pid_t sleeping = 0, program = 0;
  file >> sleeping >> program;
  pid_t remuda = 0;
  const auto stat = read_file("/proc/" + std::to_string(program) + "/stat");
  std::sscanf(stat.c_str() + stat.rfind(')') + 1, " %*c %d", &remuda);
  ASSERT_GT(remuda, 1);
  ::kill(remuda, SIGINT);
  interrupting.join();
  EXPECT_EQ(f.status, 128 + SIGINT) << f.err;
  EXPECT_EQ(::kill(sleeping, 0), -1);
  EXPECT_EQ(::kill(program, 0), -1);
  EXPECT_FALSE(fs::exists(s.report()));
}

TEST(bench, a_program_that_takes_too_long_is_ended_with_its_children) {
  const suite s;
  const auto pids = s.file("pids");
  s.measures("thread_pool_costs", "callback/remuda", {50},
             "setsid sleep 1000 & echo $! >" + pids.string() + "\nsleep 1000");
  s.measures("reuse_vs_spawn", "futures_kept/remuda", {60});
  bench::run_options o;
  o.programs = s.path();
  o.results = s.file("results");
  fs::create_directory(o.results);
  o.patience = std::chrono::seconds(6);  // also for what the other programs do in no time
  bench::report r;
  bench::run_programs(r, o);
  EXPECT_EQ(r.programs.at(3).ended, bench::program_run::state::timed_out);
  EXPECT_EQ(r.programs.at(7).ended, bench::program_run::state::measured);
  EXPECT_EQ(r.rows.size(), 2U) << "what it measured before is lost";
  EXPECT_EQ(::kill(std::stoi(read_file(pids)), 0), -1) << "its child runs on";
}

TEST(bench, a_page_is_made_anew_from_its_report) {
  const temporary_folder folder;
  const auto report = folder.write("r/report.json", read_file(made_up));
  const finished f = bench_command({"--from", report.parent_path().string()});
  ASSERT_EQ(f.status, good) << f.err;
  const auto page = read_file(report.parent_path() / "index.html");
  EXPECT_TRUE(contains(page, "Made-Up CPU"));
  EXPECT_EQ(read_file(report), read_file(made_up)) << "the report itself was changed";

  const auto copy = folder.path() / "copy";
  ASSERT_EQ(bench_command({"--from", report.string(), "-o", copy.string()}).status, good);
  EXPECT_EQ(read_file(copy / "index.html"), page);
  // and what was written is read as the same
  ASSERT_EQ(bench_command({"--from", copy.string(), "-o", (folder.path() / "third").string()}).status, good);
  EXPECT_EQ(read_file(folder.path() / "third/report.json"), read_file(copy / "report.json"));
}

TEST(bench, a_damaged_report_is_told) {
  const temporary_folder folder;
  const std::string whole = read_file(made_up);
  const auto replaced = [&](const std::string& what, const std::string& by) {
    auto text = whole;
    return text.replace(text.find(what), what.size(), by);
  };
  std::string deep = whole;
  deep.replace(deep.find("\"measurements\": null"), 20, "\"measurements\": " + std::string(200000, '['));
  const std::vector<std::string> damaged = {"",
                                            "[]",
                                            "{}",
                                            "null",
                                            whole.substr(0, whole.size() / 2),
                                            replaced("\"version\": 1", "\"version\": 2"),
                                            replaced("remuda bench report", "something else"),
                                            replaced("\"rows\"", "\"lines\""),
                                            replaced("\"measured\"", "\"thought of\""),
                                            replaced("764", "\"long\""),
                                            deep};
  for (const auto& text : damaged) {
    const auto file = folder.write("report.json", text);
    const finished f = bench_command({"--from", file.string()});
    EXPECT_EQ(f.status, failed) << text.substr(0, 200);
    EXPECT_TRUE(contains(f.err, file.string())) << f.err;
    EXPECT_FALSE(fs::exists(folder.path() / "index.html"));
  }
  for (const char* wrong : {"/nowhere", "/dev/zero", "/"}) {
    EXPECT_EQ(bench_command({"--from", wrong}).status, failed) << wrong;
  }
  EXPECT_EQ(bench_command({"--from", made_up.string(), "--quick"}).status, wrong_use);
}

TEST(bench, the_folder_is_named_by_time_and_machine) {
  EXPECT_EQ(bench::default_folder("2026-11-26T21:30:05Z", "AMD EPYC(tm) 9 @ 2.0GHz"),
            "perf_reports/2026-11-26_2130_amd-epyc-tm-9-2-0ghz");
  EXPECT_EQ(bench::default_folder("2026-11-26T21:30:05Z", "../../x").parent_path(), "perf_reports");
  EXPECT_EQ(bench::default_folder("2026-11-26T21:30:05Z", ""), "perf_reports/2026-11-26_2130_unknown-cpu");
}

TEST(bench, the_table_tells_aims_ratios_and_losses) {
  const temporary_folder folder;
  std::string table = bench_command({"--from", made_up.string(), "-o", (folder.path() / "r").string(), "--json"}).out;
  const json r = json::parse(table);
  EXPECT_EQ(r.at("aims_reached"), 9);
  EXPECT_EQ(r.at("aims_missed"), 2);
  std::map<std::string, std::string> best;
  for (const auto& row : r.at("rows")) {
    if (row.contains("best_other") && !row.at("best_other").is_null()) {
      best[row.at("row")] = row.at("best_other").at("whose");
    }
  }
  EXPECT_EQ(best.at("behind_backlog"), "asio") << "tbb never ran";
  EXPECT_EQ(best.at("round_trip_hot"), "asio") << "tbb ran in the caller";
  EXPECT_EQ(best.at("process_stream"), "posix_mq") << "shm_ring is the limit";
}

}  // namespace
