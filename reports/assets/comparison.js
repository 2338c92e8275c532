// The browser of flips: items that two runs answered differently, side by side with their words
// compared. Its whole state is the URL fragment. Texts reach the page as text nodes only (text.js).
"use strict";
(() => {
  const { make, plain, visible, block, unpacked, settled } = olmes;
  const ROW = 46; // pixels a row of the list, as in report.css
  const FIELDS = ["task", "kind", "q", "item"];
  const KINDS = { won: ["▲", "Won by B", "right"], lost: ["▼", "Lost by B", "wrong"] };
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const find = (selector) => document.querySelector(selector);
  const [form, list, rows, detail, status] = [".filters", ".list", ".rows", ".sample", ".status"].map(find);
  let index = null;
  let state = {};
  let results = []; // places in the index
  let chosen = -1;
  let turn = 0;

  const kindOf = (place) => (index.won[place] ? "won" : "lost");

  async function pairOf(place) {
    const [number, start] = page.chunks.findLast(([, first]) => first <= place);
    return (await unpacked(number))[place - start];
  }

  // --- Filtering -----------------------------------------------------------------------------
  async function refresh() {
    const mine = ++turn;
    const words = state.q.toLowerCase();
    const found = [];
    for (let place = 0; place < index.id.length; place++) {
      if (state.task && index.task[place] !== state.task) continue;
      if (state.kind && kindOf(place) !== state.kind) continue;
      if (words && !(await holds(place, words))) continue;
      if (mine !== turn) return;
      found.push(place);
    }
    if (mine !== turn) return;
    results = found;
    const at = state.item ? results.findIndex((place) => index.id[place] === state.item) : 0;
    const missing = at < 0 ? `; ${plain(state.item)} is not among them` : "";
    status.textContent = `${results.length.toLocaleString("en")} ${results.length === 1 ? "flip" : "flips"}${missing}`;
    rows.style.height = `${results.length * ROW}px`;
    list.scrollTop = 0;
    await choose(at);
  }

  async function holds(place, words) {
    const pair = await pairOf(place);
    const texts = [index.id[place], ...pair.flatMap((row) => [...(row.messages ?? []).map((one) => one.content), row.response?.text ?? ""])];
    return texts.some((text) => text.toLowerCase().includes(words));
  }

  // --- List ----------------------------------------------------------------------------------
  function rowOf(place, at) {
    const [glyph, label, className] = KINDS[kindOf(place)];
    const position = { "aria-selected": at === chosen, "aria-setsize": results.length, "aria-posinset": at + 1 };
    const row = make(
      "div", { className: "row", id: `row-${at}`, role: "option", ...position },
      make("div", {}, make("span", { className: `verdict ${className}`, role: "img", "aria-label": label }, glyph), " ", visible(index.id[place])),
      make("div", { className: "line" }, visible(index.line[place])),
    );
    row.style.top = `${at * ROW}px`;
    row.addEventListener("click", () => choose(at, true));
    return row;
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(results.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
    rows.replaceChildren(...results.slice(first, last).map((place, offset) => rowOf(place, first + offset)));
    list.setAttribute("aria-activedescendant", chosen >= first && chosen < last ? `row-${chosen}` : "");
  }

  async function choose(at, remember = false) {
    chosen = Math.min(at, results.length - 1);
    const top = chosen * ROW;
    if (chosen >= 0) list.scrollTop = Math.max(top + ROW - list.clientHeight, Math.min(top, list.scrollTop));
    draw();
    const place = results[chosen];
    if (remember && place !== undefined) {
      state.item = index.id[place];
      writeAddress();
    }
    const nodes = place === undefined ? [make("p", {}, "No item is open.")] : describe(place, await pairOf(place));
    if (place !== results[chosen]) return;
    detail.replaceChildren(...nodes);
    detail.parentElement.scrollTop = 0;
    if (remember && getComputedStyle(find(".panes")).display === "block") detail.scrollIntoView();
  }

  const move = (step) => results[chosen + step] !== undefined && choose(chosen + step, true);

  // --- Detail --------------------------------------------------------------------------------
  const heading = (text) => make("h4", {}, visible(text));
  const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value ?? null));
  const asked = (row) => row.messages?.at(-1)?.content ?? row.prompt ?? "";

  function parts(found, className) {
    return found.map(([text, common]) => (common ? visible(text) : make("mark", { className }, visible(text))));
  }

  function side(letter, row, value, nodes) {
    const said = row.extracted === undefined ? "none found" : asText(row.extracted);
    return make(
      "section", { className: "side", "aria-label": `Run ${letter}` },
      heading(`${letter}: ${page.names[letter === "A" ? 0 : 1]}`),
      block("response", ...nodes),
      make("dl", { className: "facts" },
        ...[["answer", said], ["value", asText(value)], ["flags", (row.flags ?? []).join(", ") || "–"], ["not followed", (row.parts ?? []).filter((part) => !part.loose).map((part) => part.id).join(", ")], ["note", row.note ?? ""]]
          .filter(([, text]) => text)
          .map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, visible(text))))),
    );
  }

  function describe(place, [a, b]) {
    const [glyph, label, className] = KINDS[kindOf(place)];
    const [textA, textB] = [a.response?.text ?? "", b.response?.text ?? ""];
    const found = wordDiff(textA, textB);
    const [nodesA, nodesB] = found ? [parts(found[0], "gone"), parts(found[1], "new")] : [[visible(textA)], [visible(textB)]];
    const same = asked(a) === asked(b);
    return [
      make("header", {}, make("h3", {}, visible(index.id[place])), make("span", { className: `verdict chip ${className}` }, `${glyph} ${label}`)),
      ...(same ? [heading("Question"), block("", visible(asked(b)))] : [heading("Question of A"), block("", visible(asked(a))), heading("Question of B"), block("", visible(asked(b)))]),
      make("div", { className: "sides" }, side("A", a, index.a[place], nodesA), side("B", b, index.b[place], nodesB)),
      found ? "" : make("p", { className: "note" }, "The responses differ so much that their words are not compared."),
      heading("Gold"),
      block("", visible(asText(b.gold))),
    ];
  }

  // --- Address and controls ------------------------------------------------------------------
  const refreshSoon = settled(refresh, 80);
  const writeAddress = settled(() => {
    const given = Object.entries(state).filter(([, value]) => value);
    const text = given.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`).join("&");
    history.replaceState(null, "", `#${text || "flips"}`);
  }, 200);

  function leadsHere() {
    const given = new URLSearchParams(location.hash.slice(1));
    return location.hash === "#flips" || FIELDS.some((name) => given.has(name));
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    state = Object.fromEntries(FIELDS.map((name) => [name, given.get(name) ?? ""]));
    if (!page.tasks.includes(state.task)) state.task = "";
    if (!Object.hasOwn(KINDS, state.kind)) state.kind = "";
    for (const name of ["task", "kind", "q"]) form.elements[name].value = state[name];
    return refresh();
  }

  function toBrowser() {
    find("#flips").scrollIntoView();
    find("#flips").focus({ preventScroll: true });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    if (target.closest("input:not([type=radio]), select") && key !== "Escape") return;
    const step = { j: 1, k: -1, ...(target === list && { ArrowDown: 1, ArrowUp: -1 }) }[key];
    if (key === "Escape" && target.closest(".filters")) list.focus();
    else if (step) move(step);
    else if (key === "/") form.elements.q.focus();
    else return;
    event.preventDefault();
  }

  async function start() {
    index = await unpacked(page.index);
    const options = [["", "All tasks"], ...page.tasks.map((name) => [name, page.titles[name]])];
    form.elements.task.replaceChildren(...options.map(([value, text]) => make("option", { value }, plain(text))));
    form.addEventListener("input", ({ target }) => {
      state = { ...state, ...Object.fromEntries(new FormData(form)), item: "" };
      writeAddress();
      if (target === form.elements.q) refreshSoon();
      else refresh();
    });
    list.addEventListener("scroll", () => requestAnimationFrame(draw));
    find(".moves").addEventListener("click", ({ target }) => target.value && move(Number(target.value)));
    addEventListener("resize", draw);
    addEventListener("keydown", onKey);
    addEventListener("hashchange", () => leadsHere() && readAddress().then(toBrowser));
    addEventListener("click", ({ target }) => target.closest("a")?.hash === location.hash && leadsHere() && toBrowser());
    find("#browser-app").hidden = false;
    await readAddress();
    if (leadsHere()) toBrowser();
  }

  if (globalThis.DecompressionStream) start();
  else find("#browser-unable").hidden = false;
})();
