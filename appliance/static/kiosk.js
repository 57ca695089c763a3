// Asks "Still there?", hears the scanner, types letters, renews stock. Leaves no trace.
(() => {
  'use strict';
  const find = id => document.getElementById(id), { dataset } = document.body, sheet = find('still'), field = find('q');
  // Nobody can go back to what was replaced.
  const go = place => location.replace(place);

  let timer;
  function touched() {
    clearTimeout(timer);
    if (!sheet) return;
    sheet.close();
    timer = setTimeout(ask, dataset.still);
  }
  const ask = () => (sheet.showModal(), count(+dataset.left));
  function count(left) {
    find('left').textContent = left;
    timer = setTimeout(left > 0 ? count : () => go(dataset.end), 1000, left - 1);
  }
  // Only a whole touch closes the question: a finger must not press what lies below.
  for (const touch of ['pointerdown', 'click', 'keydown', 'wheel', 'touchmove'])
    addEventListener(touch, () => sheet && (!sheet.open || touch === 'click' || touch === 'keydown') && touched(), { capture: true, passive: true });
  addEventListener('pageshow', act => act.persisted && location.reload());

  document.addEventListener('click', act => {
    const link = act.target.closest('a[href]');
    if (link) act.preventDefault(), go(link.href);
  });

  // An answer replaces only what was found: the field is the typist's.
  const place = (form, key) => form.action + '?' + new URLSearchParams(new FormData(form, key));
  async function swap(place, id, wanted = () => true) {
    const answer = await fetch(place).catch(() => ({})), old = find(id);
    if (!answer.ok || !wanted()) return;
    const part = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById(id);
    if (part && old && !old.contains(document.activeElement)) old.replaceWith(part);
  }
  let asked = 0;
  const look = (no = ++asked) => swap(place(field.form), 'found', () => no === asked);
  if (field) field.addEventListener('input', () => look());
  document.addEventListener('submit', act => {
    const key = act.submitter, was = field && field.value;
    if (act.target.method === 'dialog') return;
    act.preventDefault();
    if (!key || key.name !== 'key') return go(place(act.target, key));
    const typed = { clear: '', back: was.slice(0, -1), space: was + ' ' }[key.value];
    field.value = typed ?? was + key.value;
    look();
  });

  // Stock and its age are asked for again.
  setInterval(() => find('live') && swap(location.href, 'live'), 10000);

  // A scanner types faster than a hand, wherever the focus is.
  let burst = '', since = 0;
  addEventListener('keydown', act => {
    if (act.ctrlKey || act.altKey || act.metaKey) return;
    const pace = act.timeStamp - since;
    since = act.timeStamp;
    if (act.key === 'Enter' && burst.length > 5 && pace < 60) {
      act.preventDefault();
      const scan = new URL(dataset.scan, location);
      scan.searchParams.set('code', burst);
      go(scan);
    } else if (act.key.length === 1) burst = (pace > 45 ? '' : burst) + act.key;
    else if (act.key !== 'Shift') burst = '';
  }, true);
  touched();
})();
