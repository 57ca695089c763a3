// Swaps fragments, posts forms without a page load, hears the scanner, fills amounts, beats.
(() => {
  'use strict';
  const all = (pick, root = document) => [...root.querySelectorAll(pick)];
  const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  let sound;

  // Three short tones: accepted, unknown, needs attention.
  function tone(name) {
    try {
      sound = sound || new AudioContext();
      const wave = sound.createOscillator(), volume = sound.createGain(), now = sound.currentTime;
      wave.frequency.value = { accepted: 1250, unknown: 320, attention: 640 }[name];
      volume.gain.value = 0.05;
      wave.connect(volume).connect(sound.destination);
      wave.start(now);
      wave.stop(now + (name === 'accepted' ? 0.06 : 0.22));
    } catch { /* A device without sound sells all the same. */ }
  }

  // Each fragment replaces the element of the same id, unless it is the same revision.
  function swap(html) {
    const sheet = document.createElement('template');
    sheet.innerHTML = html;
    for (const part of [...sheet.content.children]) {
      const old = part.id && document.getElementById(part.id);
      if (!old || (part.dataset.rev && part.dataset.rev === old.dataset.rev)) continue;
      const focus = old.contains(document.activeElement) && document.activeElement.id;
      old.replaceWith(part);
      if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
    }
    ready();
  }

  // What leads nowhere without this script is drawn by it.
  function ready() {
    all('[data-script]').forEach(part => { part.hidden = false; });
  }

  function say(sentence) {
    const said = document.getElementById('said');
    if (said) said.textContent = sentence;
  }

  const pause = ms => new Promise(done => setTimeout(done, ms));

  // The same request id may be sent again: it counts once.
  async function send(url, body) {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await fetch(url, { method: body ? 'POST' : 'GET', body, headers: { 'X-Fragments': '1' } });
        if (answer.status !== 503 || attempt > 4) return answer;
      } catch (lost) {
        if (attempt > 20) throw lost;
        say('No answer from this device yet. It is tried again.');
      }
      await pause(300);
    }
  }

  async function take(answer) {
    const place = new URL(answer.url);
    if (answer.redirected && place.pathname !== location.pathname) {
      location.assign(place);
      return answer.ok;
    }
    if (answer.redirected) history.replaceState(null, '', place);
    if (answer.ok) say('');
    swap(await answer.text());
    tone(answer.ok ? 'accepted' : 'unknown');
    return answer.ok;
  }

  let line = Promise.resolve();
  function post(form, body) {
    line = line.then(async () => {
      try {
        const ok = await take(await send(body.action, body.fields));
        if (form.isConnected) {
          form.elements.request.value = fresh();
          if (ok) form.reset();
        }
      } catch {
        say('No answer from this device. Wait a moment, then tap again: nothing counts twice.');
        tone('attention');
      } finally {
        delete form.dataset.busy;
      }
    });
  }

  document.addEventListener('submit', happening => {
    const form = happening.target, key = happening.submitter;
    if (form.method !== 'post' || form.hasAttribute('data-plain')) return;
    happening.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = '1';
    const fields = new URLSearchParams(new FormData(form, key));
    post(form, { action: (key && key.formAction) || form.action, fields });
  });

  document.addEventListener('click', async happening => {
    const link = happening.target.closest('a[data-swap]'), digit = happening.target.closest('[data-digit]');
    if (digit) type(digit);
    if (!link) return;
    happening.preventDefault();
    try { await take(await send(link.href)); history.replaceState(null, '', link.href); } catch { location.assign(link.href); }
  });

  // Digits fill an amount from the right; in a PIN they are simply added.
  function type(key) {
    const field = document.getElementById(key.closest('[data-for]').dataset.for), places = field.dataset.decimals;
    let digits = field.value.replace(/\D/g, '');
    digits = key.dataset.digit === 'back' ? digits.slice(0, -1) : digits + key.dataset.digit;
    field.value = places === undefined ? digits : amount(digits, +places);
  }
  function amount(digits, places) {
    digits = digits.replace(/^0+/, '').slice(0, 9);
    if (!digits || !places) return digits;
    digits = digits.padStart(places + 1, '0');
    return digits.slice(0, -places) + '.' + digits.slice(-places);
  }

  // A scanner types faster than a hand: a burst is a scan, wherever the focus is.
  let burst = '', since = 0, before = '';
  document.addEventListener('keydown', happening => {
    const form = document.querySelector('form[data-scan]');
    if (!form || happening.ctrlKey || happening.altKey || happening.metaKey) return;
    const pace = happening.timeStamp - since, field = document.activeElement;
    since = happening.timeStamp;
    if (happening.key === 'Enter' && burst.length >= 6 && pace < 60) {
      happening.preventDefault();
      if (field && 'value' in field && field.value.endsWith(burst)) field.value = before;
      scanned(form, burst);
      burst = '';
    } else if (happening.key.length === 1) {
      if (pace > 45 || !burst) { burst = ''; before = field && 'value' in field ? field.value : ''; }
      burst += happening.key;
    } else if (happening.key !== 'Shift') burst = '';
  }, true);
  function scanned(form, code) {
    const fields = new URLSearchParams(new FormData(form));
    fields.set('code', code);
    fields.set('request', fresh());
    post(form, { action: form.action, fields });
  }

  // The beat says that this page lives; the answer brings the time, or says that the screen is locked.
  async function beat() {
    try {
      const answer = await fetch('/beat', { headers: { 'X-Fragments': '1' } });
      if (answer.status === 401 && !document.querySelector('[data-open]')) location.assign('/signon');
      else if (answer.ok) swap(await answer.text());
    } catch { /* The next beat tells. */ }
  }

  ready();
  setInterval(beat, 5000);
  const screen = document.body.dataset.screen;
  if (screen) new EventSource('/events?screen=' + screen).onmessage = news => swap(news.data);
})();
