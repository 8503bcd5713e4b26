#include <cstdio>
#include <exception>

#include "remuda/config.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {

int run(int argc, char** argv) try {
  CLI::App app{"Tells what this machine is, measures what it does, and tunes remuda's pools to it.", "remuda"};
  app.set_version_flag("--version", "remuda " REMUDA_VERSION);
  app.require_subcommand(1);
  add_bench(app);
  add_doctor(app);
  add_measure(app);
  add_profile(app);
  add_topo(app);
  add_tune(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : wrong_use;
  }
  if (std::fflush(stdout) != 0) throw ending(failed, "cannot write to the standard output");
  return 0;
} catch (const ending& e) {
  const bool written = std::fflush(stdout) == 0;
  if (*e.what() != '\0') std::fprintf(stderr, "remuda: %s\n", e.what());
  if (!written) std::fprintf(stderr, "remuda: cannot write to the standard output\n");
  return written ? e.status() : failed;
} catch (const std::exception& e) {
  std::fflush(stdout);
  std::fprintf(stderr, "remuda: %s\n", e.what());
  return failed;
}

}  // namespace remuda::tool
