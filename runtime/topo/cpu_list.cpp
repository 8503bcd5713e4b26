#include "runtime/topo/cpu_list.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

namespace remuda::topo {
namespace {

using range = std::pair<unsigned, unsigned>;  // both ends are in it

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > largest_cpu_number) return std::nullopt;
  return value;
}

std::optional<range> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return range{*first, *last};
}

}  // namespace

std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
  text = trim(text);
  std::vector<unsigned> numbers;
  if (text.empty()) return numbers;

  std::vector<range> ranges;
  for (;;) {
    const std::size_t comma = text.find(',');
    const auto each = parse_range(trim(text.substr(0, comma)));
    if (!each) return std::nullopt;
    ranges.push_back(*each);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }

  std::sort(ranges.begin(), ranges.end());
  unsigned next = 0;  // the smallest number that is not in the result yet
  for (const auto& [first, last] : ranges) {
    for (unsigned number = std::max(first, next); number <= last; ++number) numbers.push_back(number);
    next = std::max(next, last + 1);
  }
  return numbers;
}

std::string to_cpu_list(const std::vector<unsigned>& numbers) {
  std::string text;
  for (std::size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
    end = begin + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (begin != 0) text += ',';
    text += std::to_string(numbers[begin]);
    if (end - begin > 1) text += '-' + std::to_string(numbers[end - 1]);
  }
  return text;
}

}  // namespace remuda::topo
