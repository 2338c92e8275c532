// Remembers the theme that was chosen; the style sheet does the switching, with or without this.
"use strict";
(() => {
  const KEY = "olmes-theme";
  const inputs = document.querySelectorAll(".theme input");
  const store = (action) => {
    try {
      return action(localStorage);
    } catch {
      return null; // a browser may keep nothing for files
    }
  };
  const stored = store((storage) => storage.getItem(KEY));
  for (const input of inputs) {
    if (input.value === stored) input.checked = true;
    input.addEventListener("change", () => store((storage) => storage.setItem(KEY, input.value)));
  }
})();
