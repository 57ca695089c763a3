// Measures the page that is shown: sizes in millimetres of its panel, contrast, overflow, requests. Says what is wrong.
const [leastMm, done] = arguments;
const TEXT_MM = 4.2, CONTRAST = 6, SLACK_PX = 0.75;
const page = document.documentElement, faults = [];
const mm = parseFloat(getComputedStyle(page).getPropertyValue('--mm')) || 4;
const fault = (rule, what, element) => faults.push(`${rule}: ${what} at ${where(element)}`);

function where(element) {
  const name = element.getAttribute('aria-label') || element.textContent || element.getAttribute('name') || '';
  const mark = element.id ? '#' + element.id : element.className && element.className.baseVal === undefined ? '.' + [...element.classList].join('.') : '';
  return `${element.localName}${mark} "${name.trim().replace(/\s+/g, ' ').slice(0, 40)}"`;
}

function shows(element) {
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
}

// A colour as four numbers of 0 to 255, alpha last, by drawing it.
const ink = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true }), known = new Map();
function colour(text) {
  if (!known.has(text)) {
    ink.clearRect(0, 0, 1, 1);
    ink.fillStyle = text;
    ink.fillRect(0, 0, 1, 1);
    known.set(text, [...ink.getImageData(0, 0, 1, 1).data]);
  }
  return known.get(text);
}
const over = (top, below) => {
  const part = top[3] / 255;
  return [0, 1, 2].map(place => top[place] * part + below[place] * (1 - part)).concat(255);
};
const light = rgb => {
  const [r, g, b] = rgb.slice(0, 3).map(value => value / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
function behind(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const layer = colour(getComputedStyle(at).backgroundColor);
    if (layer[3] > 0) layers.push(layer);
    if (layer[3] === 255) break;
  }
  return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 255]);
}
function contrast(text, element) {
  const ground = behind(element), [one, other] = [light(over(colour(text), ground)), light(ground)].sort((a, b) => b - a);
  return (one + 0.05) / (other + 0.05);
}

function controls() {
  const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')].filter(shows);
  const boxes = all.map(element => {
    // A box or a dot to tick is as large as the label that is tapped with it.
    const label = /checkbox|radio/.test(element.type || '') && element.closest('label');
    return [element, (label || element).getBoundingClientRect()];
  });
  for (const [element, box] of boxes) {
    const least = Math.min(box.width, box.height);
    if (least > 0 && least + SLACK_PX < leastMm * mm)
      fault('size', `${(box.width / mm).toFixed(1)} x ${(box.height / mm).toFixed(1)} mm, not ${leastMm}`, element);
  }
  boxes.forEach(([one, a], place) => boxes.slice(place + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1 && !one.contains(other) && !other.contains(one) && one.closest('label') !== (other.closest('label') || 0)
        && front(one, a) && front(other, b))
      fault('overlap', `lies ${(wide / mm).toFixed(1)} x ${(high / mm).toFixed(1)} mm over ${where(other)}`, one);
  }));
}
// Whether a control can be tapped where it lies, and is not scrolled away under another.
function front(element, box) {
  const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return hit && (element.contains(hit) || hit.contains(element));
}

function texts() {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = new Set();
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || seen.has(element) || /^(script|style|noscript|template)$/i.test(element.localName) || !shows(element)) continue;
    seen.add(element);
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    // What only a screen reader meets is not seen.
    if (box.width <= 1 || box.height <= 1 || style.clipPath === 'inset(50%)') continue;
    const sizeMm = parseFloat(style.fontSize) / mm;
    if (sizeMm + 0.02 < TEXT_MM) fault('text', `${sizeMm.toFixed(2)} mm, not ${TEXT_MM}`, element);
    const is = contrast(element.ownerSVGElement ? style.fill : style.color, element);
    if (is + 0.005 < CONTRAST) fault('contrast', `${is.toFixed(2)} to 1, not ${CONTRAST}`, element);
    if (/hidden|clip/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1 && style.textOverflow !== 'ellipsis')
      fault('clipped', 'text runs out of its box', element);
  }
}

function frame() {
  if (page.scrollWidth > innerWidth + 1) fault('overflow', `the page is ${page.scrollWidth} px wide on ${innerWidth}`, page);
  if (!page.lang) fault('language', 'the page names none', page);
  if (!/^(ltr|rtl)$/.test(page.dir)) fault('direction', 'the page names none', page);
  for (const entry of performance.getEntriesByType('resource'))
    if (new URL(entry.name).origin !== location.origin) fault('foreign', entry.name, page);
}

controls();
texts();
frame();
const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((bytes, entry) => bytes + entry.transferSize, 0);
const report = violations => done({ faults, loaded, violations });
if (window.axe) axe.run(document, { resultTypes: ['violations'] }).then(
  result => report(result.violations.map(one => `${one.id}: ${one.help}, ${one.nodes.length} times, first ${one.nodes[0].html.slice(0, 120)}`)),
  lost => report([`axe could not run: ${lost}`]));
else report(null);
