// What every page with samples needs: packed data unpacked, and texts as nodes that can do nothing.
"use strict";
const olmes = (() => {
  // Control and format characters but tab, newline and the joiners that scripts and emoji need;
  // line and paragraph separators; surrogates without their partner.
  const HIDDEN = /(?![\t\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

  const MOST_MARKED = 2000; // a browser is slow at a hundred thousand nodes
  const LONG = 50_000; // and at finding the direction of a megabyte, a paragraph at a time

  // --- Packed data ---------------------------------------------------------------------------
  async function unpack(number) {
    const text = atob(document.getElementById(`blob-${number}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const cache = new Map(); // at most 256 unpacked texts by number, least recently used first
  function unpacked(number) {
    const value = cache.get(number) ?? unpack(number);
    cache.delete(number);
    cache.set(number, value);
    if (cache.size > 256) cache.delete(cache.keys().next().value);
    return value;
  }

  // --- Text ----------------------------------------------------------------------------------
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  function shown(letter) {
    const code = letter.codePointAt(0);
    const digits = code.toString(16).padStart(code < 0x100 ? 2 : 4, "0");
    return letter === "\r" ? "\\r" : `\\${code < 0x100 ? "x" : "u"}${digits}`;
  }

  /** Text with characters that cannot be seen made visible, where nodes cannot stand. */
  const plain = (text) => text.replace(HIDDEN, shown);

  /** The same as a node, each such character marked; beyond some thousands they are not. */
  function visible(text) {
    const fragment = new DocumentFragment();
    let [from, marked] = [0, 0];
    for (const { 0: letter, index } of text.matchAll(HIDDEN)) {
      if (++marked > MOST_MARKED) break;
      fragment.append(text.slice(from, index), make("span", { className: "control" }, shown(letter)));
      from = index + letter.length;
    }
    fragment.append(plain(text.slice(from)));
    return fragment;
  }

  /** A text of its own, kept as it was written. */
  function block(className, ...nodes) {
    const element = make("pre", { className: `text ${className}` }, ...nodes);
    element.classList.toggle("long", element.textContent.length > LONG);
    return element;
  }

  /** The thought before an answer, folded, its length on the fold; null where there is none. */
  function thought({ reasoning = "", reasoning_end: end, reasoning_chars: whole, reasoning_tokens: tokens }) {
    if (!reasoning) return null;
    const figure = (count) => count.toLocaleString("en");
    const characters = whole ?? reasoning.length;
    const length = `${figure(characters)} characters${tokens ? `, ${figure(tokens)} tokens` : ""}`;
    const fold = make("details", { className: "thought" }, make("summary", {}, `Thought: ${length}`));
    const left = characters - reasoning.length - (end ?? "").length;
    const gap = make("p", { className: "note" }, `${figure(left)} characters left out here; they are in the samples file.`);
    const open = () =>
      fold.append(block("", visible(reasoning)), ...(whole ? [gap, block("", visible(end))] : []));
    fold.addEventListener("toggle", open, { once: true });
    return fold;
  }

  /** `action`, once calls have ceased for a while. */
  function settled(action, milliseconds) {
    let timer;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(action, milliseconds);
    };
  }

  /** A choice that this browser keeps, where it keeps anything for files. */
  function kept(key) {
    const tried = (action) => {
      try {
        return action(localStorage);
      } catch {
        return null;
      }
    };
    return { get: () => tried((storage) => storage.getItem(key)), set: (value) => tried((storage) => storage.setItem(key, value)) };
  }

  return { make, plain, visible, block, thought, unpacked, settled, kept };
})();
