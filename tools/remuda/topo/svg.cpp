// The drawing: boxes within boxes. One file without anything from elsewhere, for dark and light pages alike.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "runtime/topo/cpu_list.hpp"
#include "tools/remuda/topo/parts.hpp"
#include "tools/remuda/topo/report.hpp"
#include "tools/remuda/words.hpp"

namespace remuda::tool {
namespace {

// In pixels.
constexpr double thread_width = 40, thread_height = 32, gap = 6, title_height = 18, character = 6.6;

struct box {
  const part* of = nullptr;
  std::string title;
  double x = 0, y = 0;  // within the box around it
  double width = 0, height = 0;
  std::vector<box> boxes;
};

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~' ? '?' : c;
    }
  }
  return safe;
}

class drawing {
 public:
  explicit drawing(const topo_report& report)
      : report_(report), whole_(report.machine.whole), workers_(workers_of_threads(report)) {}

  std::string draw() {
    const part machine = parts_of(whole_);
    box all = lay_out(machine);
    const double top = 34, legend = 26;
    const double width = std::max(all.width + 2 * gap, 560.0), height = top + all.height + legend + gap;
    put(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" )"
        R"(role="img" font-family="system-ui, sans-serif" font-size="11">)",
        width, height);
    put("\n<title>{}</title>\n<style>{}</style>\n", escaped(heading()), style);
    put(R"(<rect width="{:.0f}" height="{:.0f}" class="page"/>)", width, height);
    put(R"(<text x="{}" y="21" class="head">{}</text>)", gap, escaped(heading()));
    put("\n");
    write(all, gap, top);
    write_legend(top + all.height + gap);
    put("</svg>\n");
    return fmt::to_string(into_);
  }

 private:
  static constexpr std::string_view style =
      ".page{fill:#fff}.head{font-size:14px;font-weight:600}text{fill:#1a1a1a}.w{font-weight:700;text-anchor:middle}"
      ".n{font-size:9px;text-anchor:middle;fill:#444}rect{stroke-width:1}"
      ".machine{fill:none;stroke:none}.package{fill:#f3f1ec;stroke:#a8a294}.node{fill:#e3ecf5;stroke:#7c9cbd}"
      ".l3{fill:#fdf3dc;stroke:#c9a85c}.l2{fill:#fbe9e1;stroke:#cc8f75}.core{fill:#fff;stroke:#8a8a8a}"
      ".thread{fill:#bfe3c4;stroke:#4f9a5b}.idle{fill:#eef6ef;stroke:#4f9a5b}"
      ".off{fill:#e4e4e4;stroke:#9b9b9b;stroke-dasharray:3 2}";

  template <class... Args>
  void put(fmt::format_string<Args...> form, Args&&... args) {
    fmt::format_to(std::back_inserter(into_), form, std::forward<Args>(args)...);
  }

  std::string heading() const {
    std::string text = report_.host && !report_.host->cpu_model.empty() ? report_.host->cpu_model : "Machine";
    return fmt::format("{}: {}, {}, {}", text, counted(whole_.threads.size(), "CPU"),
                       counted(whole_.nodes.size(), "NUMA node"), counted(report_.workers, "worker"));
  }

  std::string title(const part& of) const {
    const std::uint64_t size = size_of(whole_, of);
    const std::string amount = size != 0 ? "  " + bytes(size) : "";
    switch (of.what) {
      case level::package:
        return fmt::format("package {}", of.id);
      case level::node:
        return fmt::format("NUMA node {}{}{}", of.id, size == 0 ? "  no memory" : amount,
                           of.parts.empty() ? "  no CPUs" : "");
      case level::l3:
        return fmt::format("L3 {}{}", of.id, amount);
      case level::l2:
        return fmt::format("L2 {}{}", of.id, amount);
      case level::core: {
        const unsigned kind = whole_.threads[of.parts.front().thread].kind;
        return fmt::format("core {}{}", of.id, kind < whole_.kinds.size() ? " " + whole_.kinds[kind].name : "");
      }
      case level::machine:
      case level::thread:
        break;
    }
    return {};
  }

  // Threads of a core side by side; all else in rows that make the box about as wide as high, a little wider.
  box lay_out(const part& of) const {
    box result;
    result.of = &of;
    if (of.what == level::thread) {
      result.width = thread_width;
      result.height = thread_height;
      return result;
    }
    result.title = title(of);
    double area = 0, widest = 0;
    result.boxes.reserve(of.parts.size());
    for (const part& each : of.parts) {
      result.boxes.push_back(lay_out(each));
      area += (result.boxes.back().width + gap) * (result.boxes.back().height + gap);
      widest = std::max(widest, result.boxes.back().width);
    }
    const double room = of.what == level::core ? 1e9 : std::max(std::sqrt(area * 1.9), widest);
    const double head = of.what == level::machine ? 0 : title_height;
    double x = gap, y = head + gap / 2, row = 0;
    for (box& each : result.boxes) {
      if (x > gap && x + each.width > room + gap) {
        x = gap;
        y += row + gap;
        row = 0;
      }
      each.x = x;
      each.y = y;
      x += each.width + gap;
      row = std::max(row, each.height);
      result.width = std::max(result.width, x);
    }
    result.width = std::max(result.width, static_cast<double>(result.title.size()) * character + 2 * gap);
    result.height = y + row + gap;
    return result;
  }

  static const char* style_of(level what) {
    switch (what) {
      case level::machine:
        return "machine";
      case level::package:
        return "package";
      case level::node:
        return "node";
      case level::l3:
        return "l3";
      case level::l2:
        return "l2";
      case level::core:
        return "core";
      case level::thread:
        return "thread";
    }
    return "";
  }

  void write(const box& each, double x, double y) {
    if (each.of->what == level::thread) {
      write_thread(each, x, y);
      return;
    }
    put(R"(<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}" rx="3" class="{}"/>)", x, y, each.width,
        each.height, style_of(each.of->what));
    if (!each.title.empty()) put(R"(<text x="{:.0f}" y="{:.0f}">{}</text>)", x + gap, y + 13, escaped(each.title));
    put("\n");
    for (const box& inner : each.boxes) write(inner, x + inner.x, y + inner.y);
  }

  void write_thread(const box& each, double x, double y) {
    const auto& thread = whole_.threads[each.of->thread];
    const auto& workers = workers_[each.of->thread];
    const bool allowed = thread.use == topo::cpu_use::allowed;
    const std::string names = topo::to_cpu_list(workers);
    put(R"(<g><title>CPU {}{}{}{}</title>)", each.of->id, allowed ? "" : ", ",
        allowed ? "" : topo::to_string(thread.use), workers.empty() ? "" : ", worker " + names);
    put(R"(<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}" rx="2" class="{}"/>)", x, y, each.width,
        each.height,
        !allowed          ? "off"
        : workers.empty() ? "idle"
                          : "thread");
    // The list of many workers on one CPU would not fit; the title has it whole.
    const std::string shown = names.size() > 5 ? fmt::format("{}+{}", workers.front(), workers.size() - 1) : names;
    if (!workers.empty()) {
      put(R"(<text x="{:.0f}" y="{:.0f}" class="w">{}</text>)", x + each.width / 2, y + 14, shown);
    }
    put(R"(<text x="{:.0f}" y="{:.0f}" class="n">CPU {}</text></g>)", x + each.width / 2, y + 27, each.of->id);
    put("\n");
  }

  void write_legend(double y) {
    double x = gap;
    const auto entry = [&](const char* kind, const std::string& what) {
      put(R"(<rect x="{:.0f}" y="{:.0f}" width="14" height="12" rx="2" class="{}"/>)", x, y + 4, kind);
      put(R"(<text x="{:.0f}" y="{:.0f}">{}</text>)", x + 19, y + 14, escaped(what));
      put("\n");
      x += 19 + static_cast<double>(what.size()) * character + 3 * gap;
    };
    entry("thread", "CPU with its worker in bold");
    entry("idle", "may be used, no worker");
    std::string off = "not in the mask or cpuset";
    const auto offline = cpus_of_use(whole_, topo::cpu_use::offline);
    if (!offline.empty()) off += "; offline, not drawn: " + topo::to_cpu_list(offline);
    entry("off", off);
  }

  const topo_report& report_;
  const topo::whole_machine& whole_;
  std::vector<std::vector<unsigned>> workers_;
  fmt::memory_buffer into_;
};

}  // namespace

std::string to_svg(const topo_report& report) { return drawing(report).draw(); }

}  // namespace remuda::tool
