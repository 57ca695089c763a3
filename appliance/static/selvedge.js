// Swaps fragments, posts forms, finds while one types, hears scanner and beat.
(() => {
  'use strict';
  const first = pick => document.querySelector(pick);
  const find = id => document.getElementById(id);
  const on = (what, deed) => document.addEventListener(what, deed, true);
  const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const parts = { 'X-Fragments': '1' };
  let sound;

  function tone(name) {
    try {
      sound = sound || new AudioContext();
      const wave = sound.createOscillator(), volume = sound.createGain();
      wave.frequency.value = { accepted: 1250, unknown: 320, attention: 640 }[name];
      volume.gain.value = 0.05;
      wave.connect(volume).connect(sound.destination);
      wave.start();
      wave.stop(sound.currentTime + (name === 'accepted' ? 0.06 : 0.22));
    } catch { /* It sells without sound too. */ }
  }

  // A fragment replaces the element of its id, unless it shows the same.
  function swap(html) {
    const sheet = document.createElement('template');
    sheet.innerHTML = html;
    for (const part of [...sheet.content.children]) {
      const old = part.id && find(part.id);
      const is = part.dataset, was = old && old.dataset;
      if (!old || (is.rev && (was.rev + '.').startsWith(is.rev + '.'))) continue;
      if (is.same && is.same === was.same) { was.rev = is.rev; continue; }
      const focus = old.contains(document.activeElement) && document.activeElement.id;
      old.replaceWith(part);
      if (focus && find(focus)) find(focus).focus();
    }
    ready();
  }

  function ready() {
    for (const part of document.querySelectorAll('[data-script]')) part.hidden = false;
  }

  function say(sentence) {
    if (find('said')) find('said').textContent = sentence;
  }

  const pause = ms => new Promise(done => setTimeout(done, ms));

  // The same request id counts once, so it may be sent again.
  async function send(url, body) {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await fetch(url, { method: body ? 'POST' : 'GET', body, headers: parts });
        if (answer.status !== 503 || attempt > 4) return answer;
      } catch (lost) {
        if (attempt > 20) throw lost;
        say('No answer from this device yet. Trying again.');
      }
      await pause(300);
    }
  }

  async function take(answer) {
    const of = answer.headers.get('Content-Location'), place = new URL(of || answer.url, location);
    if ((of || answer.redirected) && place.pathname !== location.pathname) {
      location.assign(place);
      return answer.ok;
    }
    if (answer.ok && place.href !== location.href) history.replaceState(null, '', place);
    swap(await answer.text());
    tone(answer.ok ? 'accepted' : 'unknown');
    return answer.ok;
  }

  let line = Promise.resolve();
  function post(form, fields) {
    asked++;
    line = line.then(async () => {
      try {
        const ok = await take(await send(form.action, fields));
        if (form.isConnected) {
          form.elements.request.value = fresh();
          if (ok) form.reset();
        }
      } catch {
        say('No answer from this device. Tap again: nothing counts twice.');
        tone('attention');
      } finally {
        delete form.dataset.busy;
      }
    });
  }

  on('submit', act => {
    const form = act.target;
    if (form.method !== 'post' || form.hasAttribute('data-plain')) return;
    act.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = '1';
    post(form, new URLSearchParams(new FormData(form, act.submitter)));
  });

  on('click', async act => {
    const link = act.target.closest('a[data-swap]');
    if (!link) return;
    act.preventDefault();
    asked++;
    try { await take(await send(link.href)); } catch { location.assign(link.href); }
  });

  // What is typed is looked for. One that a letter, act or scan overtook is dropped.
  let asked = 0;
  on('input', async act => {
    const field = act.target, mine = ++asked, url = field.dataset.look;
    if (!url) return;
    await pause(90);
    if (mine !== asked) return;
    try {
      const answer = await fetch(url + encodeURIComponent(field.value), { headers: parts });
      if (answer.ok && mine === asked) swap(await answer.text());
    } catch { /* The next letter asks. */ }
  });

  // A burst of keys is a scan, whatever has focus.
  let burst = '', since = 0, before = '';
  on('keydown', act => {
    const form = first('form[data-scan]');
    if (!form || act.ctrlKey || act.altKey || act.metaKey) return;
    const pace = act.timeStamp - since, field = document.activeElement;
    since = act.timeStamp;
    if (act.key === 'Enter' && burst.length >= 6 && pace < 60) {
      act.preventDefault();
      if (field && 'value' in field && field.value.endsWith(burst)) field.value = before;
      scanned(form, burst);
      burst = '';
    } else if (act.key.length === 1) {
      if (pace > 45 || !burst) { burst = ''; before = field && 'value' in field ? field.value : ''; }
      burst += act.key;
    } else if (act.key !== 'Shift') burst = '';
  });
  function scanned(form, code) {
    const fields = new URLSearchParams(new FormData(form));
    fields.set('code', code);
    fields.set('request', fresh());
    post(form, fields);
  }

  // The beat: this page lives. Back come time or lock.
  async function beat() {
    try {
      const answer = await fetch('/beat', { headers: parts });
      if (answer.status === 401 && !first('[data-open]')) location.assign('/signon');
      else if (answer.ok) swap(await answer.text());
    } catch { /* The next beat tells. */ }
  }

  ready();
  setInterval(beat, 5000);
  const { screen, leave, after } = document.body.dataset;
  if (leave) setTimeout(() => location.replace(leave), after || 2e4);
  if (!screen) return;
  const events = new EventSource('/events?screen=' + screen);
  events.onmessage = news => swap(news.data);
  // A page kept for 'back' would keep its line; six leave none.
  onpagehide = () => events.close();
  onpageshow = at => at.persisted && location.reload();
})();
