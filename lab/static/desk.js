// Keeps the state of the desk fresh, and leaves it alone while a key of it has the focus or the pointer.
"use strict";
const live = document.getElementById("live");
setInterval(async () => {
  if (live.matches(":hover") && live.querySelector(":active")) return;
  try {
    const answer = await fetch("/live", { cache: "no-store" });
    const text = await answer.text();
    if (answer.ok && text !== live.dataset.last) {
      const focused = document.activeElement?.closest("form")?.getAttribute("action");
      live.innerHTML = text;
      live.dataset.last = text;
      if (focused) live.querySelector(`form[action="${focused}"] button`)?.focus();
    }
  } catch {
    live.innerHTML = "<p class=\"banner\" role=\"status\">The lab has ended. Start it again with: lab demo</p>";
  }
}, 1000);
