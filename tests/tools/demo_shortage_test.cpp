// The demo where the system has too little to give: no result is lost, and what was refused is told.

#include <grp.h>

#include "run_demo.hpp"
#include "tests/support/sanitizer.hpp"

namespace {

using namespace tools_test;

/// Descriptors 0, 1 and 2, the one on /dev/null with which the demo guards them, and so many more; none inherited.
std::function<void()> with_descriptors(rlim_t more) {
  return [more] {
    ::close_range(3, ~0U, 0);
    const rlimit few{4 + more, 4 + more};
    ::setrlimit(RLIMIT_NOFILE, &few);
  };
}

TEST(demo_shortage, few_descriptors_lose_no_result) {
  const temporary_folder folder;
  const int files = 60;
  write_many(folder, files);
  const finished f = demo_json(folder.path(), {"--workers", "4"}, with_descriptors(4 * 5 + 16));
  EXPECT_EQ(f.status, good) << f.err;
  EXPECT_EQ(json::parse(f.out).at("results").size(), static_cast<std::size_t>(files));
}

TEST(demo_shortage, a_process_pool_that_has_too_few_descriptors_is_told) {
  const temporary_folder folder;
  write_many(folder, 3);
  for (const rlim_t more : {5, 13, 25, 4 * 5 + 15}) {
    const finished f = demo_json(folder.path(), {"--workers", "4"}, with_descriptors(more));
    EXPECT_EQ(f.status, no_descriptors) << more;
    EXPECT_EQ(lines_of(f.err), 1) << f.err;
    EXPECT_TRUE(contains(f.err, "descriptors")) << f.err;
    EXPECT_EQ(f.out, "");
  }
}

TEST(demo_shortage, processes_that_the_system_refuses_are_told_and_lose_no_result) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a user without other processes, so root";
  const temporary_folder folder;
  const int files = 20;
  write_many(folder, files);
  fs::permissions(folder.path(), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
  // More children than that are asked for at once, and a child counts until it is waited for.
  const finished f = demo_json(folder.path(), {"--workers", "2"}, [] {
    const rlimit few{8, 8};
    if (::setrlimit(RLIMIT_NPROC, &few) != 0 || ::setgroups(0, nullptr) != 0 || ::setgid(54'321) != 0 ||
        ::setuid(54'321) != 0 || ::access(demo_path().c_str(), X_OK) != 0) {
      ::_exit(99);
    }
  });
  if (f.status == 99) GTEST_SKIP() << "another user cannot run the program here";
  ASSERT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("results").size(), static_cast<std::size_t>(files));
  for (const char* name : {"fork per file", "posix_spawn per file"}) {
    EXPECT_GT(way_named(report, name).at("processes_refused"), 0) << name;
    EXPECT_EQ(way_named(report, name).at("processes_created"), files) << name;
  }
  EXPECT_EQ(way_named(report, "process_pool").at("processes_refused"), 0);
}

// Sanitizers reserve terabytes of addresses, so that such a limit means nothing to them.
#ifndef REMUDA_TEST_SANITIZER_HEAP
/// Room for about a hundred stacks; a std::thread keeps its own until it is joined.
void allow_few_threads() {
  const rlimit addresses{rlim_t{1} << 30, rlim_t{1} << 30};
  const rlimit stack{rlim_t{8} << 20, rlim_t{8} << 20};
  ::setrlimit(RLIMIT_AS, &addresses);
  ::setrlimit(RLIMIT_STACK, &stack);
}

TEST(demo_shortage, threads_that_the_system_refuses_are_told_and_lose_no_result) {
  const temporary_folder folder;
  const int files = 150;
  write_many(folder, files);
  const finished f = demo_json(folder.path(), {"--workers", "2"}, allow_few_threads);
  ASSERT_EQ(f.status, good) << f.err;
  const json report = json::parse(f.out);
  EXPECT_EQ(report.at("results").size(), static_cast<std::size_t>(files));
  EXPECT_GT(way_named(report, "std::thread").at("threads_refused"), 0);
  EXPECT_EQ(way_named(report, "std::thread").at("threads_created"), files);
  EXPECT_EQ(way_named(report, "remuda pool").at("threads_refused"), 0);
  EXPECT_EQ(way_named(report, "remuda pool").at("threads_created"), 2);
}

TEST(demo_shortage, a_pool_that_cannot_be_started_is_told) {
  const temporary_folder folder;
  write_many(folder, 3);
  const finished f = demo_json(folder.path(), {"--workers", "1000"}, allow_few_threads);
  EXPECT_EQ(f.status, no_resources);
  EXPECT_EQ(lines_of(f.err), 1) << f.err;
}
#endif

}  // namespace
