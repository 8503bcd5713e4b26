// Runs in a report page, in a browser: looks at what came out on the screen, and leaves it as JSON in the page.
const verdict = {errors: [], plots: {}, overlaps: [], outside: [], overflowing: [],
                 faint: []};
addEventListener('error', e => verdict.errors.push(String(e.message || e.target)), true);

function numbers(colour) { return colour.match(/[\d.]+/g).map(Number); }
function luminance([r, g, b]) {
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}
function background(e) {
  for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return [255, 255, 255];
}
function check_contrast(e, colour) {
  const [a, b] = [luminance(numbers(colour)), luminance(background(e))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) verdict.faint.push(e.textContent.slice(0, 60) + ' ' + colour);
}

addEventListener('load', () => {
  for (const svg of document.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    verdict.plots[svg.id || svg.parentElement.id] =
        {width: box.width, height: box.height, marks: svg.querySelectorAll('.mark').length,
         fields: svg.querySelectorAll('rect title').length, lines: svg.querySelectorAll('.line').length,
         names: [...svg.querySelectorAll('text.name')].map(t => t.textContent)};
    boxes.forEach((a, i) => {
      if (a.left < box.left - 1 || a.right > box.right + 1 || a.top < box.top - 1 || a.bottom > box.bottom + 1) {
        verdict.outside.push(svg.id + ': ' + texts[i].textContent);
      }
      if (svg.classList.contains('plot')) check_contrast(texts[i], getComputedStyle(texts[i]).fill);
      for (let k = i + 1; k < boxes.length; ++k) {
        const b = boxes[k];
        // the box of a text has room for accents that no label has
        const room = 2;
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top + room < b.bottom - room && b.top + room < a.bottom - room) {
          verdict.overlaps.push(svg.id + ': ' + texts[i].textContent + ' | ' + texts[k].textContent);
        }
      }
    });
    for (const m of svg.querySelectorAll('.mark')) {
      const b = m.getBoundingClientRect();
      if (b.left < box.left || b.right > box.right || b.top < box.top || b.bottom > box.bottom) {
        verdict.outside.push(svg.id + ': a mark, ' + m.textContent);
      }
    }
  }
  for (const e of document.querySelectorAll('main *')) {
    if (e.closest('svg')) continue;
    const style = getComputedStyle(e);
    const scrolls = e.parentElement.closest('.scroll') !== null;
    if (!scrolls && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && style.overflowX === 'visible') {
      verdict.overflowing.push(e.tagName + ' ' + e.className + ': ' + e.textContent.slice(0, 60));
    }
    const own = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (own) check_contrast(e, style.color);
  }
  verdict.scripts = document.scripts.length - 1;  // but this one
  verdict.hacked = window.hacked === 1;
  verdict.dark = matchMedia('(prefers-color-scheme: dark)').matches;
  verdict.page_width = document.documentElement.scrollWidth;
  verdict.window_width = innerWidth;
  verdict.empty_sections = document.querySelectorAll('.empty').length;
  verdict.resources = performance.getEntriesByType('resource').map(r => r.name);
  const out = document.createElement('script');
  out.type = 'application/json';
  out.id = 'verdict';
  out.textContent = JSON.stringify(verdict).replaceAll('<', '\\u003c');
  document.body.append(out);
});
