// What tells people how the program is used: --help of every verb, the manual page and the completion of the shell.
// They are held against the verbs and options that the program has, so that they cannot drift apart.

#include <unistd.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "run_remuda.hpp"

namespace {

using namespace tools_test;
using verb = std::vector<std::string>;  // "profile", "check"

std::string joined(const verb& words) {
  std::string line;
  for (const std::string& each : words) line += (line.empty() ? "" : " ") + each;
  return line;
}

std::string help_of(verb words) {
  words.emplace_back("--help");
  const finished f = run_remuda(words);
  EXPECT_EQ(f.status, 0) << joined(words) << f.err;
  EXPECT_EQ(f.err, "");
  return f.out;
}

/// The verbs that --help lists below its heading, and theirs.
std::vector<verb> verbs_below(const verb& above) {
  std::vector<verb> found;
  std::istringstream lines(help_of(above));
  bool listed = false;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, std::regex("(Subcommands|SUBCOMMANDS):"))) {
      listed = true;
      continue;
    }
    if (line.empty()) listed = false;
    std::smatch name;
    if (!listed || !std::regex_search(line, name, std::regex("^  ([a-z][a-z-]*)"))) continue;
    verb each = above;
    each.push_back(name[1].str());
    found.push_back(each);
    for (verb& inner : verbs_below(each)) found.push_back(std::move(inner));
  }
  return found;
}

std::set<std::string> options_of(const verb& of) {
  std::set<std::string> found;
  std::istringstream lines(help_of(of));
  for (std::string line; std::getline(lines, line);) {
    std::smatch option;
    if (std::regex_search(line, option, std::regex("^ +(-[a-zA-Z], ?)?(--[a-z][a-z-]*)")))
      found.insert(option[2].str());
  }
  return found;
}

std::string manual() { return read_file(REMUDA_MANUAL); }

/// The part of the manual from the heading of this verb to the next one. In it "\-" stands for a dash.
std::string manual_of(const verb& of) {
  const std::string page = std::regex_replace(manual(), std::regex(R"(\\-)"), "-");
  const std::size_t begin = page.find("\n.SS remuda " + joined(of) + "\n");
  if (begin == std::string::npos) return {};
  const std::size_t end = std::min(page.find("\n.SS ", begin + 1), page.find("\n.SH ", begin + 1));
  return page.substr(begin, end - begin);
}

TEST(Help, ThereAreVerbs) {
  const std::vector<verb> all = verbs_below({});
  for (const char* each : {"doctor", "topo"}) {
    EXPECT_NE(std::find(all.begin(), all.end(), verb{each}), all.end()) << each;
  }
}

TEST(Help, OfEveryVerbThatDoesSomethingEndsWithExamples) {
  const std::vector<verb> all = verbs_below({});
  for (const verb& each : all) {
    const std::string help = help_of(each);
    const std::string example = "  remuda " + each.front();
    EXPECT_TRUE(contains(help, "xamples:\n" + example)) << help;
  }
}

TEST(Help, TheManualTellsOfEveryVerbAndEachOfItsOptionsAndOfNoOthers) {
  const std::vector<verb> all = verbs_below({});
  for (const verb& each : all) {
    const std::string section = manual_of(each);
    EXPECT_NE(section, "") << "the manual has no section \"remuda " << joined(each) << '"';
    for (const std::string& option : options_of(each)) {
      if (option == "--help") continue;
      EXPECT_TRUE(std::regex_search(section, std::regex(option + "([^a-z-]|$)"))) << joined(each) << ' ' << option;
    }
  }
  const std::string page = manual();
  const std::regex heading("\n\\.SS remuda ([a-z ]+)\n");
  for (std::sregex_iterator each(page.begin(), page.end(), heading), end; each != end; ++each) {
    const std::string name = (*each)[1].str();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const verb& v) { return joined(v) == name; }))
        << "the manual tells of remuda " << name << ", which there is not";
  }
}

/// Path of a shell; empty where it is not installed.
std::string shell(const char* name) {
  for (const char* folder : {"/bin/", "/usr/bin/"}) {
    if (const std::string path = std::string(folder) + name; ::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

/// What a shell offers for the last of these words, sorted.
using offer = std::set<std::string> (*)(const verb& words);

std::set<std::string> offered_by(const std::vector<std::string>& command) {
  const finished f = run_program(command);
  EXPECT_EQ(f.err, "");
  std::set<std::string> offered;
  std::istringstream lines(f.out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) offered.insert(line);
  }
  return offered;
}

std::string quoted(const verb& words) {
  std::string text;
  for (const std::string& each : words) text += " '" + each + "'";
  return text;
}

std::set<std::string> offered_by_bash(const verb& words) {
  const temporary_folder folder;
  const std::string script = "source \"$1/remuda.bash\"\nCOMP_WORDS=(\"$2\"" + quoted(words) +
                             ")\nCOMP_CWORD=" + std::to_string(words.size()) + "\n_remuda \"$2\"" +
                             quoted({words.back()}) +
                             " \"${COMP_WORDS[COMP_CWORD-1]}\"\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
  return offered_by({shell("bash"), folder.write("ask", script).native(), REMUDA_COMPLETION, REMUDA_PROGRAM});
}

/// Of zsh's own completion only what the function calls is here: as it takes the words that begin as the current one.
std::set<std::string> offered_by_zsh(const verb& words) {
  const temporary_folder folder;
  const std::string script =
      "compadd() { shift; print -rl -- \"${(@M)@:#${words[CURRENT]}*}\" }\n"
      "_files() { print -rl -- ${words[CURRENT]}*(N) }\n"
      "fpath=(\"$1\" $fpath)\nautoload -Uz _remuda\n"
      "words=(\"$2\"" +
      quoted(words) + ")\nCURRENT=" + std::to_string(words.size() + 1) + "\nask() { _remuda }\nask\n";
  return offered_by({shell("zsh"), "-f", folder.write("ask", script).native(), REMUDA_COMPLETION, REMUDA_PROGRAM});
}

std::set<std::string> offered_by_fish(const verb& words) {
  const temporary_folder folder;
  const std::string home = "HOME=" + folder.path().native();
  const std::string script =
      "set -x PATH (dirname $argv[2]) $PATH\nsource $argv[1]/remuda.fish\n"
      "complete -C \"remuda " +
      joined(words) + "\" | string replace -r '\\t.*' ''\n";
  return offered_by({"/usr/bin/env", home, "XDG_CONFIG_HOME=" + folder.path().native(), shell("fish"), "--no-config",
                     folder.write("ask", script).native(), REMUDA_COMPLETION, REMUDA_PROGRAM});
}

struct completing_shell {
  const char* name;
  offer offered;
};

class Completion : public testing::TestWithParam<completing_shell> {
 protected:
  void SetUp() override {
    if (shell(GetParam().name).empty()) GTEST_SKIP() << "there is no " << GetParam().name << " here";
  }
  static std::set<std::string> completed(const verb& words) { return GetParam().offered(words); }
};

TEST_P(Completion, OffersEveryVerbAndWhatFollowsIt) {
  const std::vector<verb> all = verbs_below({});
  std::set<std::string> first;
  for (const verb& each : all) {
    if (each.size() == 1) {
      first.insert(each.front());
      continue;
    }
    verb words = each;
    words.back().resize(1);
    EXPECT_EQ(completed(words).count(each.back()), 1U) << joined(each);
  }
  EXPECT_EQ(completed({""}), first);
  EXPECT_EQ(completed({"to"}), (std::set<std::string>{"topo"}));
}

TEST_P(Completion, OffersTheOptionsOfTheVerb) {
  const std::set<std::string> options = options_of({"topo"});
  EXPECT_EQ(options.count("--svg"), 1U);
  EXPECT_EQ(completed({"topo", "--"}), options);
  EXPECT_EQ(completed({"topo", "--cpus", "0-3", "--sv"}), (std::set<std::string>{"--svg"}));
  EXPECT_EQ(completed({"topo", "--topo"}), (std::set<std::string>{"--topology"}));
}

TEST_P(Completion, OffersFilesWhereAnOptionWantsAValue) {
  const temporary_folder folder;
  const std::string file = folder.write("machine.xml", "").native();
  EXPECT_EQ(completed({"topo", "--topology", file.substr(0, file.size() - 3)}), (std::set<std::string>{file}));
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion,
                         testing::Values(completing_shell{"bash", offered_by_bash},
                                         completing_shell{"zsh", offered_by_zsh},
                                         completing_shell{"fish", offered_by_fish}),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
