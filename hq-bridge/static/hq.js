// Puts a newer drawing into the page; what has the focus keeps it.
(() => {
  'use strict';
  const live = document.getElementById('live');
  if (!live || !live.dataset.events) return;
  const events = new EventSource(live.dataset.events);
  // A page that is kept for 'back' would keep its line, and six of them leave none for the next page.
  onpagehide = () => events.close();
  onpageshow = shown => shown.persisted && location.reload();
  events.onmessage = news => {
    const focus = live.contains(document.activeElement) && document.activeElement.id;
    const place = window.scrollY;
    live.innerHTML = news.data;
    window.scrollTo(0, place);
    if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true });
  };
  // Old figures that look new would be worse than none.
  events.onerror = () => {
    if (document.getElementById('away')) return;
    const said = document.createElement('p');
    said.id = 'away';
    said.className = 'banner';
    said.setAttribute('role', 'alert');
    said.textContent = 'Head office does not answer. These figures stand still since ' + new Date().toLocaleTimeString() + '.';
    live.prepend(said);
  };
})();
