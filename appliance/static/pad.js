// The pad of digits: an amount fills from the right, in a PIN digits are simply added.
(() => {
  'use strict';
  function amount(digits, places) {
    digits = digits.replace(/^0+/, '').slice(0, 9);
    if (!digits || !places) return digits;
    digits = digits.padStart(places + 1, '0');
    return digits.slice(0, -places) + '.' + digits.slice(-places);
  }
  document.addEventListener('click', act => {
    const key = act.target.closest('[data-digit]');
    if (!key) return;
    const field = document.getElementById(key.closest('[data-for]').dataset.for), places = field.dataset.decimals;
    let digits = field.value.replace(/\D/g, '');
    digits = key.dataset.digit === 'back' ? digits.slice(0, -1) : digits + key.dataset.digit;
    field.value = places === undefined ? digits : amount(digits, +places);
  });
})();
