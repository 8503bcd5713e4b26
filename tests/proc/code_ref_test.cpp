// A function's name is valid in every process of the same build, wherever the code lies there (P23).
#include "runtime/proc/code_ref.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "remuda/error.hpp"
#include "tests/support/process.hpp"
#include "tests/tools/run_program.hpp"

namespace remuda::detail {
namespace {

using tools_test::finished;
using tools_test::run_program;
using tools_test::temporary_folder;

int own_function() { return 7; }
int own_data = 7;

unsigned module_part(code_ref ref) { return static_cast<unsigned>(ref >> 48); }

class library {
 public:
  explicit library(const std::string& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(dlerror());
  }
  library(const library&) = delete;
  library& operator=(const library&) = delete;
  ~library() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  void close() { dlclose(std::exchange(handle_, nullptr)); }

  const void* answer() const { return dlsym(handle_, "plugin_answer"); }

 private:
  void* handle_;
};

bool is_loaded(const std::string& path) {
  void* const handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle != nullptr) dlclose(handle);
  return handle != nullptr;
}

int call(const void* function) { return reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(function))(); }

std::string hexadecimal(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[static_cast<unsigned>(b) / 16];
    text += digits[static_cast<unsigned>(b) % 16];
  }
  return text;
}

// Another process learns the module and calls the function.
finished learn_and_call(const module_id& id, code_ref ref) {
  return run_program({REMUDA_PROBE, "learn", std::to_string(module_part(ref)), id.path, hexadecimal(id.build_id),
                      std::to_string(ref)});
}

template <class F>
std::string complaint_of(F f) {
  try {
    f();
  } catch (const error& e) {
    return e.what();
  }
  return "";
}

TEST(CodeRef, FindsTheSameFunctionAgain) {
  const code_ref ref = code_ref_of(&own_function);
  EXPECT_EQ(module_part(ref), 0U) << "the executable is module 0";
  EXPECT_EQ(call(resolve(ref)), 7);
  EXPECT_EQ(code_ref_of(&own_function), ref);
}

TEST(CodeRef, IsValidInAnotherProcessOfTheSameProgram) {
  for (const std::string program : {REMUDA_PROBE, REMUDA_PROBE_FIXED}) {
    const finished name = run_program({program, "name"});
    ASSERT_EQ(name.status, 0) << program << ": " << name.err;
    for (int i = 0; i < 3; ++i) {  // each at another address, where addresses are random
      const finished answer = run_program({program, "call", name.out});
      EXPECT_EQ(answer.status, 0) << program << ": " << answer.err;
      EXPECT_EQ(answer.out, "42") << program;
    }
  }
}

TEST(CodeRef, NullIsNoFunctionAndNobodyElsesName) {
  EXPECT_EQ(code_ref_of(static_cast<int (*)()>(nullptr)), 0U);
  EXPECT_NE(code_ref_of(&own_function), 0U);
  EXPECT_THROW((void)code_ref_of(static_cast<const void*>(nullptr)), error);
}

TEST(CodeRef, WhatIsNoCodeHasNoName) {
  const int on_the_stack = 0;
  const auto on_the_heap = std::make_unique<int>();
  for (const void* address : {static_cast<const void*>(&own_data), static_cast<const void*>(&on_the_stack),
                              static_cast<const void*>(on_the_heap.get())}) {
    EXPECT_THROW((void)code_ref_of(address), error);
  }
}

TEST(CodeRef, OutsideOfTheCodeNothingIsResolved) {
  const code_ref ref = code_ref_of(&own_function);
  EXPECT_THROW((void)resolve(0), error) << "the file's header";
  EXPECT_THROW((void)resolve(ref + (code_ref{1} << 40)), error);
  EXPECT_THROW((void)resolve((code_ref{1} << 48) - 1), error);
  EXPECT_THROW((void)resolve(~code_ref{0}), error);
  EXPECT_THROW((void)resolve(code_ref{1000} << 48), error);
}

TEST(CodeRef, AFunctionOfALibraryThatWasThereFromTheStart) {
  const code_ref ref = code_ref_of(&getppid);
  const void* const there = resolve(ref);
  EXPECT_EQ(call(there), getppid());
  EXPECT_EQ(code_ref_of(there), ref);
}

TEST(CodeRef, ALibraryGetsANumberWhenItIsFirstNeeded) {
  const std::uint16_t before = modules_known();
  const library plugin(REMUDA_PLUGIN);
  EXPECT_EQ(modules_known(), before) << "being loaded is no need";
  const code_ref ref = code_ref_of(plugin.answer());
  EXPECT_EQ(module_part(ref), before);
  EXPECT_EQ(modules_known(), before + 1);
  EXPECT_EQ(resolve(ref), plugin.answer());
  EXPECT_EQ(code_ref_of(plugin.answer()), ref);
  EXPECT_EQ(modules_known(), before + 1);
  EXPECT_EQ(std::filesystem::path(module_of(before).path), std::filesystem::canonical(REMUDA_PLUGIN));
}

TEST(CodeRef, ALibraryWithANumberStaysLoaded) {
  library plugin(REMUDA_PLUGIN);
  const code_ref ref = code_ref_of(plugin.answer());
  library unknown(REMUDA_OTHER_BUILD);
  plugin.close();
  unknown.close();
  EXPECT_FALSE(is_loaded(REMUDA_OTHER_BUILD)) << "the test cannot see what it is about";
  EXPECT_TRUE(is_loaded(REMUDA_PLUGIN));
  EXPECT_EQ(call(resolve(ref)), 1);
}

TEST(CodeRef, AnotherProcessLoadsTheLibraryThatItIsTold) {
  const library plugin(REMUDA_PLUGIN);
  const code_ref ref = code_ref_of(plugin.answer());
  const finished answer = learn_and_call(module_of(static_cast<std::uint16_t>(module_part(ref))), ref);
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(answer.out, "1");
}

TEST(CodeRef, AnotherBuildAtThatPathIsRefused) {
  const library plugin(REMUDA_PLUGIN);
  const code_ref ref = code_ref_of(plugin.answer());
  module_id id = module_of(static_cast<std::uint16_t>(module_part(ref)));
  id.path = REMUDA_OTHER_BUILD;
  const finished answer = learn_and_call(id, ref);
  EXPECT_EQ(answer.status, 3);
  EXPECT_NE(answer.err.find("another build"), std::string::npos) << answer.err;
  EXPECT_NE(answer.err.find("other_build"), std::string::npos) << answer.err;
}

TEST(CodeRef, ALibraryThatIsGoneIsRefused) {
  const library plugin(REMUDA_PLUGIN);
  const code_ref ref = code_ref_of(plugin.answer());
  module_id id = module_of(static_cast<std::uint16_t>(module_part(ref)));
  id.path = "/no/such/library.so";
  const finished answer = learn_and_call(id, ref);
  EXPECT_EQ(answer.status, 3);
  EXPECT_NE(answer.err.find("cannot load /no/such/library.so"), std::string::npos) << answer.err;
}

TEST(CodeRef, WithoutABuildIdTheFileHasToBeTheSame) {
  const temporary_folder folder;
  const std::string path = (folder.path() / "anonymous.so").native();
  std::filesystem::copy_file(REMUDA_ANONYMOUS, path);
  const library plugin(path);
  const code_ref ref = code_ref_of(plugin.answer());
  const module_id id = module_of(static_cast<std::uint16_t>(module_part(ref)));
  const finished same = learn_and_call(id, ref);
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_EQ(same.out, "3");
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(5));
  const finished touched = learn_and_call(id, ref);
  EXPECT_EQ(touched.status, 3);
  EXPECT_NE(touched.err.find("--build-id"), std::string::npos) << "it says what to do: " << touched.err;
}

TEST(LearnModule, TheSameOnceMoreChangesNothing) {
  const library plugin(REMUDA_PLUGIN);
  const auto number = static_cast<std::uint16_t>(module_part(code_ref_of(plugin.answer())));
  const std::uint16_t known = modules_known();
  learn_module(number, module_of(number));
  learn_module(0, module_of(0));
  EXPECT_EQ(modules_known(), known);
}

TEST(LearnModule, ANumberIsNotGivenTwice) {
  const library plugin(REMUDA_PLUGIN);
  const auto number = static_cast<std::uint16_t>(module_part(code_ref_of(plugin.answer())));
  EXPECT_NE(complaint_of([&] { learn_module(number, module_of(0)); }), "");
  EXPECT_NE(complaint_of([&] { learn_module(0, module_of(number)); }), "");
  EXPECT_NE(complaint_of([&] { learn_module(50'000, module_of(number)); }), "");
}

TEST(LearnModule, AProcessThatOnlyLearnsGivesNoNumbers) {
  const library plugin(REMUDA_PLUGIN);
  const library other(REMUDA_OTHER_BUILD);
  (void)code_ref_of(plugin.answer());
  const auto child = test::in_child([&]() -> std::string {
    only_learn_modules();
    if (call(resolve(code_ref_of(plugin.answer()))) != 1) return "a module that was known is not";
    if (complaint_of([&] { (void)code_ref_of(other.answer()); }).find("other_build") == std::string::npos) {
      return "it has given a number, or does not say to what";
    }
    return "";
  });
  EXPECT_TRUE(test::well(child)) << child;
}

TEST(CodeRef, ThreadsThatNeedANumberAtOnceGetTheSame) {
  const library libraries[] = {library(REMUDA_PLUGIN), library(REMUDA_OTHER_BUILD), library(REMUDA_ANONYMOUS)};
  constexpr std::size_t threads = 8;
  // In children, so that in each the libraries are new.
  for (int round = 0; round < 20; ++round) {
    const auto child = test::in_child([&]() -> std::string {
      std::vector<std::vector<code_ref>> refs(threads);
      std::barrier start(threads);
      std::vector<std::thread> all;
      for (std::size_t t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
          start.arrive_and_wait();
          for (std::size_t i = 0; i < 3; ++i) refs[t].push_back(code_ref_of(libraries[(t + i) % 3].answer()));
          std::rotate(refs[t].begin(), refs[t].begin() + static_cast<int>((3 - t % 3) % 3), refs[t].end());
        });
      }
      for (std::thread& thread : all) thread.join();
      for (const auto& each : refs) {
        if (each != refs[0]) return "two threads got different names for one function";
      }
      std::set<std::string> paths;
      for (std::uint16_t m = 0; m < modules_known(); ++m) {
        if (!paths.insert(module_of(m).path).second) return "a library has several numbers";
      }
      return "";
    });
    ASSERT_TRUE(test::well(child)) << child;
  }
}

}  // namespace
}  // namespace remuda::detail
