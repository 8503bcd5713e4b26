#include "tools/remuda/measure/heat_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <vector>

namespace remuda::tool {
namespace {

using text_end = std::back_insert_iterator<std::string>;

// From the fastest to the slowest, 0 to 1.
class scale {
 public:
  explicit scale(const topo::measurements& m) {
    for (const topo::summary& each : m.core_to_core) {
      if (each.repeats == 0) continue;
      least_ = std::min(least_, each.median);
      most_ = std::max(most_, each.median);
    }
  }

  bool empty() const { return least_ > most_; }
  double least() const { return least_; }
  double most() const { return most_; }

  double place(double value) const {
    // A few percent between the fastest and the slowest are noise, not a structure to be painted in full contrast.
    const double low = std::log(std::max(least_, 1e-3));
    const double width = std::max(std::log(std::max(most_, 1e-3)) - low, std::log(1.5));
    return std::clamp((std::log(std::max(value, 1e-3)) - low) / width, 0.0, 1.0);
  }

 private:
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

// The matrix, as several CPUs to one field.
class fields {
 public:
  fields(const topo::measurements& m, std::size_t cpus_each) : m_(m), each_(cpus_each) {}

  std::size_t count() const { return (m_.cpus.size() + each_ - 1) / each_; }

  std::optional<double> value(std::size_t row, std::size_t column) const {
    double sum = 0;
    unsigned found = 0;
    for (std::size_t r = row * each_; r < std::min((row + 1) * each_, m_.cpus.size()); ++r) {
      for (std::size_t c = column * each_; c < std::min((column + 1) * each_, m_.cpus.size()); ++c) {
        const topo::summary& s = m_.core_to_core.at(r * m_.cpus.size() + c);
        if (s.repeats == 0) continue;
        sum += s.median;
        ++found;
      }
    }
    return found > 0 ? std::optional(sum / found) : std::nullopt;
  }

 private:
  const topo::measurements& m_;
  std::size_t each_;
};

std::size_t widest_number(const topo::measurements& m) {
  const unsigned largest = m.cpus.empty() ? 0 : *std::max_element(m.cpus.begin(), m.cpus.end());
  return fmt::formatted_size("{}", largest);
}

// Of the 256 colours of terminals: yellow to red to dark blue, and a text colour that can be read on it.
struct shade {
  int background;
  int text;
};
constexpr std::array<shade, 10> shades{
    {{230, 16}, {229, 16}, {222, 16}, {215, 16}, {209, 16}, {203, 16}, {161, 231}, {126, 231}, {90, 231}, {54, 231}}};

std::size_t step_of(double place) { return std::min<std::size_t>(static_cast<std::size_t>(place * 10), 9); }

void append_field(std::string& out, std::optional<double> place, const std::string& content, bool colour) {
  if (!colour || !place) {
    out += content;
    return;
  }
  const shade s = shades.at(step_of(*place));
  fmt::format_to(text_end(out), "\x1b[48;5;{};38;5;{}m{}\x1b[0m", s.background, s.text, content);
}

// The same colours as numbers, for SVG.
struct rgb {
  double red, green, blue;
};
constexpr std::array<rgb, 5> ramp{{{255, 250, 215}, {254, 204, 110}, {244, 109, 80}, {158, 32, 110}, {50, 10, 90}}};

std::string colour_of(double place) {
  const double at = place * (ramp.size() - 1);
  const std::size_t below = std::min<std::size_t>(static_cast<std::size_t>(at), ramp.size() - 2);
  const double share = at - static_cast<double>(below);
  const rgb a = ramp.at(below), b = ramp.at(below + 1);
  const auto mix = [&](double x, double y) { return static_cast<unsigned>(std::lround(x + share * (y - x))); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue));
}

}  // namespace

std::string heat_map_text(const topo::measurements& m, bool colour, std::size_t columns) {
  const scale range(m);
  if (m.core_to_core.empty() || range.empty()) return {};
  const std::size_t cpus = m.cpus.size();
  const std::size_t margin = widest_number(m) + 2;
  const std::size_t room = std::max(columns, margin + 8) - margin;
  const std::size_t value_width = std::max(fmt::formatted_size("{:.0f}", range.most()), widest_number(m)) + 1;
  const bool values = cpus * value_width <= room;
  const std::size_t sign_width = !values && colour && cpus * 2 <= room ? 2 : 1;
  const std::size_t width = values ? value_width : sign_width;
  const std::size_t cpus_each = values ? 1 : (cpus * width + room - 1) / room;
  const fields all(m, cpus_each);

  std::string out;
  if (values) {
    fmt::format_to(text_end(out), "{:{}}", "", margin);
    for (const unsigned cpu : m.cpus) fmt::format_to(text_end(out), "{:>{}}", cpu, width);
    out += '\n';
  }
  for (std::size_t row = 0; row < all.count(); ++row) {
    fmt::format_to(text_end(out), "{:>{}}  ", m.cpus[row * cpus_each], margin - 2);
    for (std::size_t column = 0; column < all.count(); ++column) {
      const auto value = all.value(row, column);
      const auto place = value ? std::optional(range.place(*value)) : std::nullopt;
      std::string content;
      if (values) {
        content = value ? fmt::format("{:>{}.0f}", *value, width) : fmt::format("{:>{}}", ".", width);
      } else if (value && colour) {
        content = std::string(width, ' ');
      } else {
        content = fmt::format("{:>{}}", value ? fmt::to_string(step_of(*place)) : ".", width);
      }
      append_field(out, place, content, colour);
    }
    out += '\n';
  }

  fmt::format_to(text_end(out), "{:{}}", "", margin);
  if (colour) {
    fmt::format_to(text_end(out), "{:.0f} ns ", range.least());
    for (std::size_t i = 0; i < shades.size(); ++i) append_field(out, (static_cast<double>(i) + 0.5) / 10, " ", true);
    fmt::format_to(text_end(out), " {:.0f} ns", range.most());
  } else if (values) {
    fmt::format_to(text_end(out), "from {:.0f} to {:.0f} ns", range.least(), range.most());
  } else {
    fmt::format_to(text_end(out), "0 = {:.0f} ns, {} = {:.0f} ns", range.least(), step_of(range.place(range.most())),
                   range.most());
  }
  if (cpus_each > 1) fmt::format_to(text_end(out), "; each field is the mean of {} x {} CPUs", cpus_each, cpus_each);
  out += '\n';
  return out;
}

std::string heat_map_svg(const topo::measurements& m) {
  const scale range(m);
  const std::size_t cpus = m.core_to_core.empty() ? 0 : m.cpus.size();
  const std::size_t field = std::clamp<std::size_t>(cpus == 0 ? 48 : 900 / cpus, 6, 48);
  const std::size_t left = 60, top = 70;
  const std::size_t side = cpus * field;
  const std::size_t width = left + std::max<std::size_t>(side, 360) + 20, height = top + side + 70;
  std::string out;
  fmt::format_to(text_end(out),
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
                 "font-family=\"sans-serif\" font-size=\"11\">\n"
                 "<title>Core to core latency</title>\n"
                 "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
                 "<text x=\"{2}\" y=\"22\" font-size=\"15\">Core to core: round trip of a cache line, median</text>\n",
                 width, height, left);
  if (cpus == 0 || range.empty()) {
    fmt::format_to(text_end(out), "<text x=\"{}\" y=\"48\">no pair of CPUs was measured</text>\n</svg>\n", left);
    return out;
  }
  // As many labels as can be read.
  const std::size_t label_every = (24 + field - 1) / field;
  for (std::size_t i = 0; i < cpus; i += label_every) {
    const std::size_t middle = i * field + field / 2;
    fmt::format_to(text_end(out), "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", left + middle, top - 6,
                   m.cpus[i]);
    fmt::format_to(text_end(out), "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", left - 6, top + middle + 4,
                   m.cpus[i]);
  }
  for (std::size_t row = 0; row < cpus; ++row) {
    for (std::size_t column = 0; column < cpus; ++column) {
      const topo::summary& s = m.core_to_core.at(row * cpus + column);
      const std::string colour = s.repeats > 0 ? colour_of(range.place(s.median)) : "#eeeeee";
      fmt::format_to(text_end(out), "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\">",
                     left + column * field, top + row * field, field, field, colour);
      if (s.repeats > 0) {
        fmt::format_to(text_end(out), "<title>CPU {} and {}: {:.0f} ns (p10 {:.0f}, p90 {:.0f})</title>", m.cpus[row],
                       m.cpus[column], s.median, s.p10, s.p90);
      }
      out += "</rect>\n";
      if (s.repeats == 0 || field < 28) continue;
      fmt::format_to(text_end(out), "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{}\">{:.0f}</text>\n",
                     left + column * field + field / 2, top + row * field + field / 2 + 4,
                     range.place(s.median) > 0.55 ? "#ffffff" : "#000000", s.median);
    }
  }
  constexpr std::size_t steps = 20, step_width = 9;
  const std::size_t legend = top + side + 20;
  for (std::size_t i = 0; i < steps; ++i) {
    fmt::format_to(text_end(out), "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"12\" fill=\"{}\"/>\n",
                   left + i * step_width, legend, step_width, colour_of((static_cast<double>(i) + 0.5) / steps));
  }
  fmt::format_to(text_end(out), "<text x=\"{}\" y=\"{}\">{:.0f} ns</text>\n", left, legend + 26, range.least());
  fmt::format_to(text_end(out), "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0f} ns</text>\n</svg>\n",
                 left + steps * step_width, legend + 26, range.most());
  return out;
}

}  // namespace remuda::tool
