// A list of any number of entries beside the one that is open: what the browsers of samples and of
// flips share. Its whole state is the URL fragment, and only the rows in view are drawn.
"use strict";
const virtualList = (() => {
  const { make, plain, visible, settled } = olmes;
  const ROW = 46; // pixels a row of the list, as in report.css
  const find = (selector) => document.querySelector(selector);
  const [form, list, rows, detail, status] = [".filters", ".list", ".rows", ".sample", ".status"].map(find);
  const figure = (count) => count.toLocaleString("en");

  /**
   * The list of a page; `start` fills it, and `again` shows the open entry anew.
   *
   * section    id of its section, which is also the address without filters
   * fields     the filters by their names in the form and in the address; `q` is the search
   * opened     the name in the address of the entry that is open
   * noun       what an entry is called
   * search     async (isNewest, say) => entries under the filters in `state`; null once it is not the newest
   * idOf       entry => its name
   * summary    entry => {glyph, label, className, note, facts, line} of its row
   * describe   async entry => nodes of the open entry
   * sync       (changed) => `state` checked and shown in the form, after the control `changed` or the address
   * onOpened   called when an entry was opened
   */
  return ({ section, fields, opened, noun, search, idOf, summary, describe, sync, onOpened = () => {} }) => {
    const state = Object.fromEntries([...fields, opened].map((name) => [name, ""])); // "" for any
    let results = [];
    let chosen = -1; // index in `results`
    let turn = 0; // counts searches, so that a late one does not overwrite a newer

    async function refresh() {
      const mine = ++turn;
      const found = await search(() => mine === turn, (text) => (status.textContent = text));
      if (mine !== turn || !found) return;
      results = found;
      const at = state[opened] ? results.findIndex((entry) => idOf(entry) === state[opened]) : 0;
      const missing = at < 0 ? `; ${plain(state[opened])} is not among them` : "";
      status.textContent = `${figure(results.length)} ${noun}${results.length === 1 ? "" : "s"}${missing}`;
      rows.style.height = `${results.length * ROW}px`;
      list.scrollTop = 0;
      await choose(at);
    }

    // --- List --------------------------------------------------------------------------------
    function rowOf(entry, at) {
      const { glyph, label, className, note = "", facts = "", line } = summary(entry);
      const position = { "aria-selected": at === chosen, "aria-setsize": results.length, "aria-posinset": at + 1 };
      const row = make(
        "div", { className: "row", id: `row-${at}`, role: "option", ...position },
        make("div", {}, make("span", { className: "row-facts" }, facts), make("span", { className: `verdict ${className}`, role: "img", "aria-label": label }, glyph), " ", visible(idOf(entry)), make("span", { className: "note" }, ` ${note}`)),
        make("div", { className: "line" }, visible(line)),
      );
      row.style.top = `${at * ROW}px`;
      row.addEventListener("click", () => choose(at, { remember: true, reveal: true }));
      return row;
    }

    /** Draws the rows in view, and no others: a list of any length costs the same. */
    function draw() {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
      const last = Math.min(results.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
      rows.replaceChildren(...results.slice(first, last).map((entry, offset) => rowOf(entry, first + offset)));
      list.setAttribute("aria-activedescendant", chosen >= first && chosen < last ? `row-${chosen}` : "");
    }

    /** Opens the entry at an index of the list. */
    async function choose(at, { remember = false, reveal = false } = {}) {
      chosen = Math.min(at, results.length - 1);
      const top = chosen * ROW;
      if (chosen >= 0) list.scrollTop = Math.max(top + ROW - list.clientHeight, Math.min(top, list.scrollTop));
      draw();
      const entry = results[chosen];
      if (remember && entry !== undefined) {
        state[opened] = idOf(entry);
        writeAddress();
      }
      const nodes = entry === undefined ? [make("p", {}, `No ${noun} is open.`)] : await describe(entry);
      if (entry !== results[chosen]) return; // another was opened meanwhile
      detail.replaceChildren(...nodes);
      detail.parentElement.scrollTop = 0;
      onOpened();
      // On a phone the entry stands below the list.
      if (reveal && getComputedStyle(find(".panes")).display === "block") detail.scrollIntoView();
    }

    const move = (step) => results[chosen + step] !== undefined && choose(chosen + step, { remember: true });

    // --- Address -----------------------------------------------------------------------------
    // Browsers limit how often an address may change.
    const writeAddress = settled(() => {
      const given = Object.entries(state).filter(([, value]) => value);
      const text = given.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`).join("&");
      history.replaceState(null, "", `#${text || section}`);
    }, 200);

    /** Whether the address is one of the list's, and not of another place on the page. */
    function leadsHere() {
      const given = new URLSearchParams(location.hash.slice(1));
      return location.hash === `#${section}` || Object.keys(state).some((name) => given.has(name));
    }

    function readAddress() {
      const given = new URLSearchParams(location.hash.slice(1));
      for (const name of Object.keys(state)) state[name] = given.get(name) ?? "";
      sync("");
      return refresh();
    }

    function toSection() {
      find(`#${section}`).scrollIntoView();
      find(`#${section}`).focus({ preventScroll: true });
    }

    // --- Controls ----------------------------------------------------------------------------
    const refreshSoon = settled(refresh, 80);

    function onInput({ target }) {
      Object.assign(state, Object.fromEntries(new FormData(form)), { [opened]: "" });
      sync(target.name);
      writeAddress();
      if (target === form.elements.q) refreshSoon();
      else refresh();
    }

    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { key, target } = event;
      if (target.closest("input:not([type=radio], [type=checkbox]), select, textarea")) {
        if (key !== "Escape") return;
        list.focus();
        event.preventDefault(); // which would empty the search without a word
      }
      const step = { j: 1, k: -1, ...(target === list && { ArrowDown: 1, ArrowUp: -1 }) }[key];
      if (step) move(step);
      if (key === "/") form.elements.q.focus();
      if (step || key === "/") event.preventDefault();
    }

    /** Fills the list, once `ready`; an old browser says that it cannot. */
    async function start(ready = async () => {}) {
      if (!globalThis.DecompressionStream) {
        find("#browser-unable").hidden = false;
        return;
      }
      await ready();
      form.addEventListener("input", onInput);
      list.addEventListener("scroll", () => requestAnimationFrame(draw));
      find(".moves").addEventListener("click", ({ target }) => target.value && move(Number(target.value)));
      addEventListener("resize", draw);
      addEventListener("keydown", onKey);
      addEventListener("hashchange", () => leadsHere() && readAddress().then(toSection));
      // A link to where the list is already changes no address.
      addEventListener("click", ({ target }) => target.closest("a")?.hash === location.hash && leadsHere() && toSection());
      addEventListener("unhandledrejection", ({ reason }) => (status.textContent = `The ${noun}s cannot be read: ${reason}`));
      find("#browser-app").hidden = false;
      await readAddress();
      if (leadsHere()) toSection();
    }

    return { state, start, again: () => choose(chosen) };
  };
})();
