#include "tools/remuda/bench/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace remuda::tool::bench {
namespace {

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

template <class... Arguments>
void append(std::string& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

std::string with_tip(std::string_view element, std::string_view tip) {
  if (tip.empty()) return "/>\n";
  return fmt::format("><title>{}</title></{}>\n", escaped(tip), element);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t characters) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!starts_character(text[i])) continue;
    if (++seen == characters &&
        std::any_of(text.begin() + static_cast<std::ptrdiff_t>(i) + 1, text.end(), starts_character)) {
      return std::string(text.substr(0, i)) + "\u2026";
    }
  }
  return std::string(text);
}

double name_width(std::string_view text) {
  double width = 0;
  for (const char c : text) {
    // three bytes and more: as wide as two, in the scripts that need them
    if (starts_character(c)) width += static_cast<unsigned char>(c) >= 0xE0U ? 13.3 : 6.65;
  }
  return width;
}

drawing::drawing(std::string_view id, double width, double height, std::string_view description) {
  append(out_,
         "<svg class=\"plot\" id=\"{}\" viewBox=\"0 0 {:.0f} {:.0f}\" style=\"width:{:.0f}px\" role=\"img\" "
         "aria-label=\"{}\">\n",
         id, width, height, width, escaped(description));
}

void drawing::line(point from, point to, std::string_view css_class) {
  append(out_, "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css_class, from.x,
         from.y, to.x, to.y);
}

void drawing::path(const std::vector<point>& points, std::string_view css_class) {
  append(out_, "<polyline class=\"{}\" points=\"", css_class);
  for (const point& p : points) append(out_, "{:.1f},{:.1f} ", p.x, p.y);
  out_ += "\"/>\n";
}

void drawing::text(point at, std::string_view text, anchor a, std::string_view css_class) {
  constexpr const char* names[] = {"start", "middle", "end"};
  append(out_, "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", css_class, at.x, at.y,
         names[static_cast<int>(a)], escaped(text));
}

void drawing::mark(shape s, point at, std::string_view css_class, std::string_view tip) {
  const auto [x, y] = at;
  switch (s) {
    case shape::circle:
    case shape::ring:
      append(out_, "<circle class=\"mark {}{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"{}", css_class,
             s == shape::ring ? " ring" : "", x, y, s == shape::ring ? 3.5 : 4.0, with_tip("circle", tip));
      break;
    case shape::diamond:
      append(out_, "<path class=\"mark {}\" d=\"M{:.1f} {:.1f}l5 5l-5 5l-5-5z\"{}", css_class, x, y - 5,
             with_tip("path", tip));
      break;
    case shape::triangle:
      append(out_, "<path class=\"mark {}\" d=\"M{:.1f} {:.1f}l5 9h-10z\"{}", css_class, x, y - 5,
             with_tip("path", tip));
      break;
  }
}

std::string drawing::take() && {
  out_ += "</svg>\n";
  return std::move(out_);
}

log_axis::log_axis(double low, double high, double from_pixel, double to_pixel)
    : low_(std::log10(low)), high_(std::log10(high)), from_(from_pixel), to_(to_pixel) {
  // a little room, and never a range so small that noise looks like a mountain
  const double room = std::max((0.6 - (high_ - low_)) / 2, 0.04 * (high_ - low_));
  low_ -= room;
  high_ += room;
}

double log_axis::at(double value) const { return from_ + (to_ - from_) * (std::log10(value) - low_) / (high_ - low_); }

std::vector<double> log_axis::ticks(std::size_t at_most) const {
  const std::vector<std::vector<double>> steps = {{1, 2, 5}, {1}};
  std::vector<double> found;
  for (int stride = 1; stride < 100; ++stride) {
    for (const auto& within : steps) {
      if (stride > 1 && within.size() > 1) continue;
      found.clear();
      for (int decade = static_cast<int>(std::floor(low_)); decade <= high_; ++decade) {
        if (decade % stride != 0) continue;
        for (const double step : within) {
          const double value = step * std::pow(10, decade);
          if (std::log10(value) >= low_ && std::log10(value) <= high_) found.push_back(value);
        }
      }
      if (found.size() <= at_most) return found;
    }
  }
  return found;
}

std::vector<double> spread_out(const std::vector<double>& wanted, double apart, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> placed = wanted;
  double least = top;
  for (const std::size_t i : order) {
    placed[i] = std::max(placed[i], least);
    least = placed[i] + apart;
  }
  double most = std::max(bottom, top + apart * static_cast<double>(wanted.size()) - apart);
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    placed[*i] = std::min(placed[*i], most);
    most = placed[*i] - apart;
  }
  return placed;
}

}  // namespace remuda::tool::bench
