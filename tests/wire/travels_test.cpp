// travels<T> answers for every type without being an error itself.
#include <gtest/gtest.h>

#include <any>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include "remuda/wire.hpp"

namespace remuda {
namespace {

struct with_string {
  std::string text;
};
struct only_saves {
  std::string text;
  template <class Archive>
  void save(Archive& ar) const {
    ar(text);
  }
};
struct needs_argument {
  explicit needs_argument(std::string t) : text(std::move(t)) {}
  std::string text;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(text);
  }
};
struct member_holder {
  int member;
};

template <class... T>
constexpr bool none_travels = (!travels<T> && ...);

TEST(Travels, NotAddresses) {
  static_assert(none_travels<int*, const char*, void*, int&, const int&, int&&, int member_holder::*,
                             int (member_holder::*)(), std::reference_wrapper<int>>);
}

TEST(Travels, NotViews) {
  static_assert(none_travels<std::string_view, std::wstring_view, std::span<int>, std::span<const int, 3>,
                             std::initializer_list<int>>);
}

TEST(Travels, NotWhatBelongsToThisProcess) {
  static_assert(none_travels<std::mutex, std::thread, std::future<int>, std::function<void()>, std::any,
                             std::shared_ptr<int>, std::weak_ptr<int>, std::type_index, std::error_condition>);
}

TEST(Travels, NotClassesThatNobodySaysHowToSend) {
  static_assert(none_travels<with_string, only_saves, needs_argument, void, int[3], std::unique_ptr<int[]>>);
}

TEST(Travels, NotContainersOfWhatDoesNot) {
  static_assert(none_travels<std::vector<int*>, std::array<const char*, 2>, std::optional<std::string_view>,
                             std::variant<int, std::span<int>>, std::tuple<int, void*>, std::pair<std::string, int*>,
                             std::map<std::string, std::string_view>, std::unordered_map<std::string, with_string>,
                             std::set<int*>, std::unique_ptr<with_string>, std::vector<std::vector<std::mutex*>>,
                             std::list<needs_argument>>);
}

TEST(Travels, ConstIsNoPartOfAValue) { static_assert(none_travels<const int, const std::string>); }

TEST(Travels, TheRestDoes) {
  static_assert(travels<int> && travels<std::vector<std::string>> && travels<member_holder> && travels<int (*)(int)>);
}

}  // namespace
}  // namespace remuda
