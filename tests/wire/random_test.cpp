// Values made at random come back equal; their encodings, damaged at random, are a value or an error, and nothing else.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tests/support/wire.hpp"

namespace remuda {
namespace {

struct record {
  std::string name;
  std::variant<int, std::string, std::vector<double>> content;
  std::optional<std::map<std::string, std::uint16_t>> index;
  std::vector<record> parts;
  bool operator==(const record&) const = default;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(name, content, index, parts);
  }
};

using everything = std::tuple<record, std::vector<std::pair<int, std::string>>, std::unordered_map<int, std::set<int>>,
                              std::array<std::string, 2>, std::vector<bool>>;

class generator {
 public:
  explicit generator(unsigned seed) : random_(seed) {}

  unsigned below(unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random_); }

  std::string text() {
    std::string t(below(3) == 0 ? below(2000) : below(12), '\0');
    for (char& c : t) c = static_cast<char>(below(256));
    return t;
  }

  record any_record(int depth) {
    record r;
    r.name = text();
    switch (below(3)) {
      case 0:
        r.content = static_cast<int>(random_());
        break;
      case 1:
        r.content = text();
        break;
      default:
        r.content = std::vector<double>(below(50), 0.5 * below(100));
    }
    if (below(2) == 0) {
      r.index.emplace();
      for (unsigned n = below(5); n != 0; --n) r.index->emplace(text(), static_cast<std::uint16_t>(random_()));
    }
    if (depth < 4) {
      for (unsigned n = below(4); n != 0; --n) r.parts.push_back(any_record(depth + 1));
    }
    return r;
  }

  everything any() {
    everything e;
    auto& [r, pairs, sets, texts, flags] = e;
    r = any_record(0);
    for (unsigned n = below(5); n != 0; --n) pairs.emplace_back(static_cast<int>(random_()), text());
    for (unsigned n = below(5); n != 0; --n) sets[static_cast<int>(below(4))].insert(static_cast<int>(random_()));
    texts = {text(), text()};
    for (unsigned n = below(70); n != 0; --n) flags.push_back(below(2) == 0);
    return e;
  }

  void damage(test::bytes& all) {
    for (unsigned n = 1 + below(4); n != 0 && !all.empty(); --n) {
      const unsigned at = below(static_cast<unsigned>(all.size()));
      switch (below(4)) {
        case 0:
          all[at] = std::byte(below(256));
          break;
        case 1:
          all[at] ^= std::byte(1U << below(8));
          break;
        case 2:
          all.resize(at);
          break;
        default:
          all.insert(all.begin() + at, std::byte(below(256)));
      }
    }
  }

 private:
  std::mt19937 random_;
};

constexpr unsigned rounds = 3000 / REMUDA_STRESS_DIVISOR;

TEST(Random, ValuesComeBack) {
  for (unsigned seed = 0; seed < rounds; ++seed) {
    const everything value = generator(seed).any();
    ASSERT_EQ(test::round_trip(value), value) << "seed " << seed;
  }
}

TEST(Random, DamagedOnesAreAValueOrAnError) {
  unsigned refused = 0;
  for (unsigned seed = 0; seed < rounds; ++seed) {
    generator make(seed);
    test::bytes all = test::encoded(make.any());
    make.damage(all);
    try {
      // If it is a value then it is one that can be sent on.
      const auto value = test::decoded<everything>(all);
      ASSERT_NO_THROW((void)test::round_trip(value)) << "seed " << seed;
    } catch (const serialization_error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, rounds / 20) << "the damage must be seen in most cases, or the test damages nothing";
}

}  // namespace
}  // namespace remuda
