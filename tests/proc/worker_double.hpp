// What runs in the workers of the tests of the zygote, in place of the pool's: it does one thing that the test names.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "runtime/os/memfd.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/entry.hpp"
#include "runtime/proc/zygote.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace remuda::test {

using detail::worker_fds;
using detail::worker_settings;
using detail::zygote;
using event = detail::zygote::event;

/// Travels in settings.spin_ns; its argument in settings.max_tasks.
enum class act : std::int64_t { exit_with, raise_signal, sleep_for_ever, spin_for_ever, tell };

inline worker_settings settings_for(act what, std::uint64_t argument = 0, std::uint32_t lane = 0) {
  worker_settings s;
  s.lane = lane;
  s.spin_ns = static_cast<std::int64_t>(what);
  s.max_tasks = argument;
  return s;
}

inline const bool zygote_start_seen_before_main = detail::in_zygote_start();

/// Prints what a worker sees, one "key=value" a line.
inline void tell(const worker_settings& settings) {
  std::ostringstream out;
  out << "pid=" << getpid() << "\nparent=" << getppid() << "\ngroup=" << getpgrp() << "\nlane=" << settings.lane
      << "\nname=" << thread_name(gettid()) << "\nvariable=" << (std::getenv(detail::zygote_variable) != nullptr)
      << "\nbefore_main=" << zygote_start_seen_before_main << "\nin_zygote=" << detail::in_zygote_start();
  const char* const marker = std::getenv("REMUDA_TEST_MARKER");
  out << "\nmarker=" << (marker != nullptr ? marker : "");
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  std::string blocked, changed;
  for (int s = 1; s < NSIG; ++s) {
    struct sigaction now {};
    if (sigaction(s, nullptr, &now) != 0) continue;  // those that the C library keeps for itself
    if (sigismember(&mask, s) == 1) blocked += ' ' + std::to_string(s);
    if (now.sa_handler != SIG_DFL) changed += ' ' + std::to_string(s);
  }
  out << "\nblocked=" << blocked << "\ndispositions=" << changed;
  for (const std::string& d : descriptors())
    out << "\nfd " << d.substr(0, d.find(' ')) << '=' << d.substr(d.find('>') + 2);
  out << "\n";
  const std::string text = out.str();
  [[maybe_unused]] const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
}

inline void worker_double(const worker_settings& settings, worker_fds fds) {
  switch (static_cast<act>(settings.spin_ns)) {
    case act::exit_with:
      _exit(static_cast<int>(settings.max_tasks));
    case act::raise_signal:
      raise(static_cast<int>(settings.max_tasks));
      break;
    case act::sleep_for_ever:
      for (;;) pause();
    case act::spin_for_ever:
      for (volatile std::uint64_t turns = 0;;) turns = turns + 1;
    case act::tell:
      tell(settings);
      [[maybe_unused]] const ssize_t n = pwrite(fds.segment, "was here", 8, 0);
      eventfd_write(fds.bell, 7);
      _exit(0);
  }
}

inline const bool double_is_there = (detail::set_worker_function(worker_double), true);

/// What a lane brings along: real descriptors, and the reading ends of the output.
struct lane_files {
  os::unique_fd segment = os::make_memfd("test", 4096);
  os::unique_fd heap = os::make_memfd("heap", 4096);
  os::unique_fd bell{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  os::unique_fd out, err, out_writer, err_writer;

  lane_files() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    out.reset(ends[0]), out_writer.reset(ends[1]);
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    err.reset(ends[0]), err_writer.reset(ends[1]);
  }
  worker_fds fds() const { return {segment.get(), heap.get(), bell.get(), out_writer.get(), err_writer.get()}; }
  /// All that the worker prints until it ends. Ours must not keep the pipes open.
  std::string printed() {
    out_writer.reset();
    err_writer.reset();
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(out.get(), buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
};

inline std::map<std::string, std::string> told(const std::string& text) {
  std::map<std::string, std::string> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    all[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  return all;
}

/// Waits for the next event.
inline event next_event(zygote& z) {
  std::optional<event> got;
  EXPECT_TRUE(eventually([&] { return (got = z.receive()).has_value(); }));
  return got ? std::move(*got) : event{event::zygote_died, 0, 0, {}, -1};
}

/// Starts a worker and waits until it is there.
inline event spawned(zygote& z, const worker_settings& s, const worker_fds& fds = {}) {
  z.spawn(s, fds);
  event e = next_event(z);
  EXPECT_EQ(e.what, event::spawned) << e.status;
  EXPECT_TRUE(e.pidfd);
  return e;
}

}  // namespace remuda::test
