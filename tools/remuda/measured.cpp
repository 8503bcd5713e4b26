#include "tools/remuda/measured.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tools/remuda/measure/progress.hpp"
#include "tools/remuda/measure/threads.hpp"
#include "tools/remuda/settings_table.hpp"
#include "tools/remuda/verbs.hpp"
#include "tools/remuda/whole_file.hpp"

namespace remuda::tool {
namespace {

/// A matrix of hundreds of CPUs has some MiB.
constexpr std::size_t largest_file = std::size_t{64} << 20;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw ending(wrong_use, fmt::format("--measurements: {}: {}; `remuda measure -o FILE` writes such a file",
                                      one_line(path), one_line(why)));
}

}  // namespace

topo::measurements read_measurements(const std::string& path) {
  try {
    return topo::measurements_from_json(read_whole_file(path, largest_file, "it is too large for measurements"));
  } catch (const std::runtime_error& e) {
    refuse(path, e.what());
  }
}

topo::measurements measure_with_progress(measure_settings settings) {
  const interrupts watched;
  topo::measurements found;
  {
    progress_bar bar;
    settings.progress = [&bar](double done, double left, std::string_view now) { bar.show(done, left, now); };
    found = measure(settings);
  }
  if (const int signal = interrupts::seen(); signal != 0) {
    throw ending(128 + signal, "interrupted; nothing was written");
  }
  return found;
}

topo::measurements measure_for_tuning(const topology& machine, double seconds) {
  measure_settings settings;
  settings.machine = machine;
  settings.only = {"pause", "wake", "ring", "steal", "jitter"};
  settings.seconds = seconds;
  return measure_with_progress(std::move(settings));
}

}  // namespace remuda::tool
