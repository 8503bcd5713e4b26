#include "tools/remuda/measured.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "tools/remuda/measure/progress.hpp"
#include "tools/remuda/measure/session.hpp"
#include "tools/remuda/measure/threads.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {
namespace {

/// A matrix of hundreds of CPUs has some MiB.
constexpr std::size_t largest_file = std::size_t{64} << 20;

struct close_file {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw ending(wrong_use, fmt::format("--measurements: {}: {}; `remuda measure -o FILE` writes such a file",
                                      one_line(path), one_line(why)));
}

}  // namespace

topo::measurements read_measurements(const std::string& path) {
  const std::unique_ptr<std::FILE, close_file> file(std::fopen(path.c_str(), "re"));
  if (!file) refuse(path, std::generic_category().message(errno));
  std::string text;
  std::array<char, 16384> part;
  errno = 0;
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), file.get())) != 0;) {
    text.append(part.data(), got);
    if (text.size() > largest_file) refuse(path, "it is too large for measurements");
  }
  if (std::ferror(file.get()) != 0) refuse(path, std::generic_category().message(errno));
  try {
    return topo::measurements_from_json(text);
  } catch (const std::runtime_error& e) {
    refuse(path, e.what());
  }
}

topo::measurements measure_for_tuning(const topology& machine, double seconds) {
  measure_settings settings;
  settings.machine = machine;
  settings.only = {"pause", "wake", "ring", "steal", "jitter"};
  settings.seconds = seconds;
  const interrupts watched;
  topo::measurements found;
  {
    progress_bar bar;
    settings.progress = [&bar](double done, double left, std::string_view now) { bar.show(done, left, now); };
    found = measure(settings);
  }
  if (const int signal = interrupts::seen(); signal != 0)
    throw ending(128 + signal, "interrupted; nothing was written");
  return found;
}

}  // namespace remuda::tool
