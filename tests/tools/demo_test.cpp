// The demo as a user and as a script see it: results, exit statuses, messages, and what bad input does.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "run_demo.hpp"

namespace {

using namespace tools_test;

/// file name -> result
std::map<std::string, json> results_of(const json& report) {
  std::map<std::string, json> results;
  for (const auto& r : report.at("results")) results[fs::path(r.at("path").get<std::string>()).filename()] = r;
  return results;
}

TEST(demo, the_six_ways_agree_and_are_right) {
  const temporary_folder folder;
  folder.write("check", "123456789");  // the published check value of CRC-32
  folder.write("empty", "");
  folder.write("deep/deeper/words", " one\ttwo\r\nthree\vfour\ffive ");
  folder.write("long", std::string(100'000, 'x') + ' ' + std::string(100'000, 'x'));  // words across read buffers
  const finished f = demo_json(folder.path());
  ASSERT_EQ(f.status, good) << f.err;
  EXPECT_EQ(f.err, "");
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("agree"), true);
  EXPECT_EQ(report.at("files"), 4);
  auto results = results_of(report);
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results["check"].at("crc32"), "cbf43926");
  EXPECT_EQ(results["check"].at("words"), 1);
  EXPECT_EQ(results["check"].at("bytes"), 9);
  EXPECT_EQ(results["empty"].at("crc32"), "00000000");
  EXPECT_EQ(results["empty"].at("words"), 0);
  EXPECT_EQ(results["words"].at("words"), 5);
  EXPECT_EQ(results["long"].at("words"), 2);
  EXPECT_EQ(results["long"].at("bytes"), 200'001);
}

TEST(demo, the_pools_create_as_many_as_workers_the_others_one_for_each_file) {
  const temporary_folder folder;
  const int files = 20;
  write_many(folder, files);
  for (const int workers : {1, 3}) {
    const finished f = demo_json(folder.path(), {"--workers", std::to_string(workers)});
    ASSERT_EQ(f.status, good) << f.err;
    const json report = json::parse(f.out);
    EXPECT_EQ(way_named(report, "std::thread").at("threads_created"), files);
    EXPECT_EQ(way_named(report, "std::async").at("threads_created"), files);
    EXPECT_EQ(way_named(report, "remuda pool").at("threads_created"), workers);
    EXPECT_EQ(way_named(report, "fork per file").at("processes_created"), files);
    EXPECT_EQ(way_named(report, "posix_spawn per file").at("processes_created"), files);
    EXPECT_EQ(way_named(report, "process_pool").at("processes_created"), workers + 1);  // the zygote
    EXPECT_EQ(report.at("workers"), workers);
    EXPECT_EQ(report.at("processes_at_once"), workers * 5);
  }
}

TEST(demo, a_process_each_is_started_for_so_many_files_at_most_and_the_pools_do_all) {
  const temporary_folder folder;
  const int files = 20;
  write_many(folder, files);
  const finished f = demo_json(folder.path(), {"--process-each", "8"});
  ASSERT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("results").size(), static_cast<std::size_t>(files));
  for (const char* name : {"fork per file", "posix_spawn per file"}) {
    EXPECT_EQ(way_named(report, name).at("files"), 8) << name;
    EXPECT_EQ(way_named(report, name).at("processes_created"), 8) << name;
  }
  for (const char* name : {"std::thread", "std::async", "remuda pool", "process_pool"}) {
    EXPECT_EQ(way_named(report, name).at("files"), files) << name;
  }
  for (const auto& s : report.at("savings")) {  // what is compared is a file's part
    SCOPED_TRACE(s.dump());
    const auto of_a_file = [&report](const json& name) {
      const json way = way_named(report, name);
      return 1000 * way.at("wall_ms").get<double>() / way.at("files").get<double>();
    };
    EXPECT_NEAR(s.at("wall_us_per_file"), of_a_file(s.at("against")) - of_a_file(s.at("by")), 1e-6);
  }
  const finished table = demo({folder.path().native(), "--process-each", "8", "--repeat", "1"});
  EXPECT_EQ(table.status, good) << table.err;
  EXPECT_TRUE(contains(table.out, "did only 8 of them")) << table.out;
}

TEST(demo, json_has_everything_that_a_script_needs) {
  const temporary_folder folder;
  write_many(folder, 10);
  const finished f = demo_json(folder.path());
  ASSERT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("program"), "remuda-demo");
  EXPECT_TRUE(report.at("version").is_string());
  EXPECT_EQ(report.at("folder"), folder.path().native());
  EXPECT_EQ(report.at("rounds"), 1);
  EXPECT_GE(report.at("usable_cpus"), 1);
  EXPECT_EQ(report.at("workers"), report.at("usable_cpus"));
  EXPECT_EQ(report.at("skipped"), 0);
  for (const char* none : {"unread", "changed", "disagreeing"}) EXPECT_EQ(report.at(none), json::array()) << none;
  ASSERT_EQ(report.at("ways").size(), 6U);
  std::map<std::string, json> by_name;
  for (const auto& way : report.at("ways")) by_name[way.at("name")] = way;
  for (const auto& way : report.at("ways")) {
    SCOPED_TRACE(way.dump());
    EXPECT_GT(way.at("wall_ms"), 0);
    EXPECT_GE(way.at("cpu_ms"), 0);
    EXPECT_GE(way.at("task_p50_ms"), 0);
    EXPECT_GE(way.at("task_p99_ms"), way.at("task_p50_ms"));
    EXPECT_LE(way.at("task_p99_ms"), way.at("wall_ms"));
    const bool processes = way.at("pool") == "process_pool";
    EXPECT_EQ(way.at(processes ? "processes_refused" : "threads_refused"), 0);
    EXPECT_EQ(way.at("tasks_repeated"), 0);
    const double pool_wall = by_name.at(way.at("pool")).at("wall_ms");
    EXPECT_DOUBLE_EQ(way.at("wall_times_pool"), way.at("wall_ms").get<double>() / pool_wall);
    EXPECT_GE(way.at("cpu_times_pool"), 0);
  }
}

TEST(demo, what_reuse_saves_follows_from_the_costs) {
  const temporary_folder folder;
  const int files = 10;
  write_many(folder, files);
  const finished f = demo_json(folder.path());
  ASSERT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  std::map<std::string, std::string> pools;
  for (const auto& s : report.at("savings")) {
    SCOPED_TRACE(s.dump());
    pools[s.at("against")] = s.at("by");
    const json each = way_named(report, s.at("against"));
    const json pool = way_named(report, s.at("by"));
    for (const std::string what : {"wall", "cpu"}) {
      const double paid = each.at(what + "_ms");
      const double saved = paid - pool.at(what + "_ms").get<double>();
      EXPECT_NEAR(s.at(what + "_us_per_file"), 1000 * saved / files, 1e-6);
      EXPECT_NEAR(s.at(what + "_percent"), paid > 0 ? 100 * saved / paid : 0, 1e-6);
    }
  }
  const std::map<std::string, std::string> expected = {{"std::thread", "remuda pool"},
                                                       {"std::async", "remuda pool"},
                                                       {"fork per file", "process_pool"},
                                                       {"posix_spawn per file", "process_pool"}};
  EXPECT_EQ(pools, expected);
}

TEST(demo, prints_a_table_and_leaves_stderr_alone_when_it_is_no_terminal) {
  const temporary_folder folder;
  write_many(folder, 10);
  const finished f = demo({folder.path().native(), "--workers", "2"});
  EXPECT_EQ(f.status, good);
  EXPECT_EQ(f.err, "");
  for (const char* part : {"10 files", "std::thread", "std::async", "remuda pool", "fork per file",
                           "posix_spawn per file", "process_pool", "wall time", "CPU time", "created", "p50", "p99",
                           "What reuse saves", "us per file", "at most 10 are there at once", "agree"}) {
    EXPECT_TRUE(contains(f.out, part)) << part << " is missing in\n" << f.out;
  }
  EXPECT_FALSE(contains(f.out, "\033"));
}

TEST(demo, json_to_a_file_leaves_the_table_on_stdout) {
  const temporary_folder folder;
  const temporary_folder elsewhere;
  write_many(folder, 3);
  const auto file = elsewhere.path() / "report.json";
  const finished f = demo({folder.path().native(), "--json", file.native(), "--repeat", "2"});
  EXPECT_EQ(f.status, good) << f.err;
  EXPECT_TRUE(contains(f.out, "remuda pool"));
  EXPECT_EQ(json::parse(tools_test::read_file(file)).at("rounds"), 2);
}

// Root may read everything, hence files that nobody can read.
TEST(demo, unreadable_files_are_named_and_the_others_are_not_lost) {
  const temporary_folder folder;
  write_many(folder, 5);
  fs::create_symlink("nowhere", folder.path() / "dangling");
  fs::create_symlink("loop", folder.path() / "loop");
  fs::create_symlink("/proc/self/mem", folder.path() / "fails_in_read");
  const finished f = demo_json(folder.path());
  EXPECT_EQ(f.status, incomplete);
  EXPECT_EQ(lines_of(f.err), 3) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("agree"), true);
  EXPECT_EQ(report.at("results").size(), 5U);
  std::map<std::string, std::string> errors;
  for (const auto& u : report.at("unread"))
    errors[fs::path(u.at("path").get<std::string>()).filename()] = u.at("error");
  const auto text_of = [](std::errc e) { return std::make_error_code(e).message(); };
  const std::map<std::string, std::string> expected = {{"dangling", text_of(std::errc::no_such_file_or_directory)},
                                                       {"loop", text_of(std::errc::too_many_symbolic_link_levels)},
                                                       {"fails_in_read", text_of(std::errc::io_error)}};
  EXPECT_EQ(errors, expected);
}

TEST(demo, only_unreadable_files_are_no_success) {
  const temporary_folder folder;
  fs::create_symlink("nowhere", folder.path() / "dangling");
  const finished f = demo_json(folder.path());
  EXPECT_EQ(f.status, incomplete);
  EXPECT_EQ(json::parse(f.out).at("results"), json::array());
}

TEST(demo, what_is_no_file_is_never_opened) {
  const temporary_folder folder;
  write_many(folder, 2);
  ASSERT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);  // to open it would block for ever
  fs::create_symlink("fifo", folder.path() / "to_fifo");
  fs::create_symlink("/dev/zero", folder.path() / "to_device");  // to read it would never end
  fs::create_symlink(".", folder.path() / "to_itself");          // to follow it would never end
  const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder.path() / "socket").native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(s, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(s);
  const finished f = demo_json(folder.path());
  EXPECT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("skipped"), 5);
  EXPECT_EQ(report.at("files"), 2);
}

TEST(demo, a_folder_that_cannot_be_listed_is_named_and_the_others_are_not_lost) {
  const temporary_folder folder;
  write_many(folder, 2);
  // Deeper than a path may be long, so that not even root can open it by name.
  const std::string name(250, 'd');
  int at = ::open(folder.path().c_str(), O_PATH | O_CLOEXEC);
  for (std::size_t length = 0; length <= PATH_MAX; length += name.size() + 1) {
    ASSERT_EQ(::mkdirat(at, name.c_str(), 0700), 0);
    const int below = ::openat(at, name.c_str(), O_PATH | O_CLOEXEC);
    ::close(at);
    at = below;
  }
  ::close(at);
  const finished f = demo_json(folder.path());
  EXPECT_EQ(f.status, incomplete);
  EXPECT_EQ(lines_of(f.err), 1) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("results").size(), 2U);
  EXPECT_EQ(report.at("unread").size(), 1U);
}

TEST(demo, strange_names_cannot_break_messages_or_json) {
  const temporary_folder folder;
  folder.write("line\nbreak", "a b");
  folder.write("not utf-8 \xff\xfe", "a b c");
  fs::create_symlink("nowhere", folder.path() / "dangling\n\033[31m\xff");
  const finished f = demo_json(folder.path());
  EXPECT_EQ(f.status, incomplete);
  EXPECT_EQ(lines_of(f.err), 1) << f.err;
  EXPECT_TRUE(std::all_of(f.err.begin(), f.err.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("results").size(), 2U);
  EXPECT_EQ(results_of(report)["line\nbreak"].at("words"), 2);
}

TEST(demo, an_empty_folder_is_nothing_to_do) {
  const temporary_folder folder;
  const finished f = demo({folder.path().native()});
  EXPECT_EQ(f.status, nothing_to_do);
  EXPECT_EQ(lines_of(f.err), 1) << f.err;
  EXPECT_EQ(f.out, "");
}

TEST(demo, a_missing_folder_or_a_file_is_wrong_usage) {
  const temporary_folder folder;
  const auto file = folder.write("file", "contents");
  for (const fs::path& wrong : {folder.path() / "missing", file, fs::path()}) {
    const finished f = demo({wrong.native()});
    EXPECT_EQ(f.status, usage) << wrong;
    EXPECT_EQ(lines_of(f.err), 1) << f.err;
    EXPECT_EQ(f.out, "");
  }
}

TEST(demo, wrong_arguments_are_wrong_usage) {
  const temporary_folder folder;
  const std::string dir = folder.path().native();
  const std::vector<std::vector<std::string>> wrong = {
      {dir, "--workers", "0"},      {dir, "--workers", "-1"}, {dir, "--workers", "99999999999"},
      {dir, "--workers", "many"},   {dir, "--workers"},       {dir, "--repeat", "0"},
      {dir, "--no-such-option"},    {dir, "a second folder"}, {dir, "--json"},
      {dir, "--process-each", "0"},
  };
  for (const auto& arguments : wrong) {
    const finished f = demo(arguments);
    EXPECT_EQ(f.status, usage) << testing::PrintToString(arguments) << f.err;
    EXPECT_NE(f.err, "");
  }
}

TEST(demo, help_and_version_are_on_stdout) {
  const finished help = demo({"--help"});
  EXPECT_EQ(help.status, good);
  EXPECT_TRUE(contains(help.out, "Exit status"));
  EXPECT_TRUE(contains(help.out, "/usr/include"));
  const finished version = demo({"--version"});
  EXPECT_EQ(version.status, good);
  EXPECT_TRUE(contains(version.out, "remuda-demo "));
  EXPECT_EQ(help.err + version.err, "");
}

TEST(demo, output_that_cannot_be_written_is_told) {
  const temporary_folder folder;
  write_many(folder, 3);
  const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO); };
  const auto closed = [] { ::close(STDOUT_FILENO); };
  const auto nobody_reads = [] {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) == 0) ::dup2(ends[1], STDOUT_FILENO);
  };
  const std::vector<std::vector<std::string>> commands = {
      {folder.path().native()}, {folder.path().native(), "--json", "-"}, {"--help"}, {"--version"}};
  for (const std::function<void()>& stdout_is : {std::function<void()>(full), {closed}, {nobody_reads}}) {
    for (const auto& arguments : commands) {
      const finished f = demo(arguments, stdout_is);
      EXPECT_EQ(f.status, no_output) << testing::PrintToString(arguments);
      EXPECT_EQ(lines_of(f.err), 1) << f.err;
    }
  }
}

TEST(demo, json_that_cannot_be_written_is_told_and_the_table_is_not_lost) {
  const temporary_folder folder;
  write_many(folder, 3);
  for (const std::string file : {"/dev/full", "/no/such/folder/report.json"}) {
    const finished f = demo({folder.path().native(), "--json", file});
    EXPECT_EQ(f.status, no_output) << file;
    EXPECT_EQ(lines_of(f.err), 1) << f.err;
    EXPECT_TRUE(contains(f.out, "remuda pool"));
  }
}

}  // namespace
