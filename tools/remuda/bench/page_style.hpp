// The style sheet of the report page: light, dark and paper.
#pragma once

#include <string_view>

namespace remuda::tool::bench {

inline constexpr std::string_view page_style = R"css(
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1b1f24; --faint: #5b6570; --rule: #d9dee4; --panel: #f5f7f9;
  --good: #00694f; --bad: #a83c00; --doubt: #fff4dc; --doubt-ink: #5c4200;
  --s0: #0063a6; --s1: #c75300; --s2: #00805c; --s3: #b0588c; --s4: #8a5a00; --s5: #3b3f45; --s6: #2c8fc4; --s7: #7a828b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e6e9ed; --faint: #9aa4af; --rule: #323942; --panel: #1c2127;
    --good: #4cc9a3; --bad: #ff9a5c; --doubt: #3a2f14; --doubt-ink: #f2d892;
    --s0: #5cb2f2; --s1: #ff8f45; --s2: #35c295; --s3: #e49cc6; --s4: #d9a441; --s5: #c9ced4; --s6: #9fd4f5; --s7: #87919c;
  }
}
@media print {
  :root { color-scheme: light; }
  figure, table, .tile { break-inside: avoid; }
  nav { display: none; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 48px 0 4px; padding-top: 12px; border-top: 2px solid var(--ink); }
h3 { font-size: 15px; margin: 28px 0 2px; overflow-wrap: anywhere; }
p { margin: 4px 0 12px; max-width: 76ch; overflow-wrap: anywhere; }
.faint, .note { color: var(--faint); font-size: 14px; }
.aim { font-size: 14px; margin: 0 0 4px; }
.good { color: var(--good); } .bad { color: var(--bad); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 20px 0; font-size: 14px; }
a { color: var(--s0); }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.tile { flex: 1 1 180px; background: var(--panel); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: 14px; }
.doubts { background: var(--doubt); color: var(--doubt-ink); border-radius: 8px; padding: 10px 16px; margin: 16px 0; list-style: none; font-size: 15px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 4px 0 12px; }
th, td { text-align: right; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--rule); white-space: nowrap; vertical-align: top; }
th { color: var(--faint); font-weight: 500; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.wrap { white-space: normal; min-width: 16em; max-width: 30em; overflow-wrap: anywhere; }
td.name { font: 12.5px/1.7 ui-monospace, "DejaVu Sans Mono", monospace; }
tr.own td { font-weight: 650; }
figure { margin: 16px 0; }
figcaption { font-size: 14px; margin-bottom: 4px; max-width: 500px; overflow-wrap: anywhere; }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(500px, 100%), 1fr)); gap: 8px 24px; }
.small figure { min-width: 0; }
svg { display: block; height: auto; }
svg.plot text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg.plot text.name { font: 11px ui-monospace, "DejaVu Sans Mono", monospace; }
svg.plot text.tick { font-size: 11px; fill: var(--faint); }
svg.plot text.axis_title, svg.plot text.faint { fill: var(--faint); }
svg.plot text.strong { font-weight: 650; }
.grid { stroke: var(--rule); stroke-width: 1; }
.guide { stroke: var(--rule); stroke-width: 1; stroke-dasharray: 1 4; }
.axis { stroke: var(--faint); stroke-width: 1; }
.one { stroke: var(--ink); stroke-width: 1.5; }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
.line.s0.d0 { stroke-width: 3; }
.leader { fill: none; stroke-width: 1; }
.whisker { stroke-width: 2; opacity: .55; }
.mark { stroke: var(--paper); stroke-width: 1; }
.ring { fill: var(--paper); stroke: var(--faint); stroke-width: 1.25; }
.s0 { fill: var(--s0); } .s1 { fill: var(--s1); } .s2 { fill: var(--s2); } .s3 { fill: var(--s3); }
.s4 { fill: var(--s4); } .s5 { fill: var(--s5); } .s6 { fill: var(--s6); } .s7 { fill: var(--s7); }
.line, .leader { fill: none; }
.line.s0, .leader.s0, .whisker.s0 { stroke: var(--s0); } .line.s1, .leader.s1, .whisker.s1 { stroke: var(--s1); }
.line.s2, .leader.s2 { stroke: var(--s2); } .line.s3, .leader.s3 { stroke: var(--s3); }
.line.s4, .leader.s4 { stroke: var(--s4); } .line.s5, .leader.s5 { stroke: var(--s5); }
.line.s6, .leader.s6 { stroke: var(--s6); } .line.s7, .leader.s7 { stroke: var(--s7); }
.line.d1 { stroke-dasharray: 7 3; } .line.d2 { stroke-dasharray: 2 3; } .line.d3 { stroke-dasharray: 9 3 2 3; }
)css";

}  // namespace remuda::tool::bench
