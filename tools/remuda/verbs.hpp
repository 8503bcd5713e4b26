// The verbs of the program `remuda`, one file each (and a folder, where one file is not enough). A verb adds its
// subcommand with options, --help text and examples; its callback does the work and throws `ending` to end otherwise
// than with status 0.
#pragma once

#include <CLI/CLI.hpp>
#include <exception>
#include <string>
#include <utility>

namespace remuda::tool {

/// Ends the program with this status, after its text, if any, has been printed to stderr as "remuda: TEXT".
class ending : public std::exception {
 public:
  explicit ending(int status, std::string text = {}) : status_(status), text_(std::move(text)) {}
  int status() const { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  int status_;
  std::string text_;
};

// Exit statuses that all verbs share; a verb documents its own ones, from 10 on.
inline constexpr int failed = 1;     ///< what was asked for could not be done
inline constexpr int wrong_use = 2;  ///< of options or arguments

void add_bench(CLI::App& app);
void add_doctor(CLI::App& app);
void add_measure(CLI::App& app);
void add_profile(CLI::App& app);
void add_topo(CLI::App& app);
void add_tune(CLI::App& app);

/// The program, from arguments to exit status. main() in one line, so that tests can call it.
int run(int argc, char** argv);

}  // namespace remuda::tool
