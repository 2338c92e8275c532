// The browser of flips: items that two runs answered differently, side by side with their words
// compared (virtual-list.js lists them). Texts reach the page as text nodes only (text.js).
"use strict";
(() => {
  const { make, plain, visible, unpacked } = olmes;
  const { heading, note, isRendered, written, valueText, extractedNodes, goldNodes, partsTable, onForm } = sampleView;
  const KINDS = { won: ["▲", "Won by B", "right"], lost: ["▼", "Lost by B", "wrong"] };
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const form = document.querySelector(".filters");
  let index = null;

  // An entry of the list is a row number of the index.
  const kindOf = (at) => (index.won[at] ? "won" : "lost");

  async function pairOf(at) {
    const [number, start] = page.chunks.findLast(([, first]) => first <= at);
    return (await unpacked(number))[at - start];
  }

  // --- Filtering -----------------------------------------------------------------------------
  /** The flips under every filter; null once a newer search began. */
  async function search(isNewest) {
    const words = state.q.toLowerCase();
    const found = [];
    for (let at = 0; at < index.id.length; at++) {
      if (state.task && index.task[at] !== state.task) continue;
      if (state.kind && kindOf(at) !== state.kind) continue;
      if (words && !(await holds(at, words))) continue;
      if (!isNewest()) return null;
      found.push(at);
    }
    return found;
  }

  async function holds(at, words) {
    const pair = await pairOf(at);
    const texts = [index.id[at], ...pair.flatMap((row) => [...(row.messages ?? []).map((one) => one.content), row.response?.text ?? "", row.response?.reasoning ?? "", row.response?.reasoning_end ?? ""])];
    return texts.some((text) => text.toLowerCase().includes(words));
  }

  function summary(at) {
    const [glyph, label, className] = KINDS[kindOf(at)];
    return { glyph, label, className, line: index.line[at] };
  }

  // --- Detail --------------------------------------------------------------------------------
  const asked = (row) => row.messages?.at(-1)?.content ?? row.prompt ?? "";

  function parts(found, className) {
    return found.map(([text, common]) => (common ? visible(text) : make("mark", { className }, visible(text))));
  }

  /** What speaks for and against a response: what the scorer says, and the checks that it failed. */
  function side(letter, row, value, nodes) {
    const failed = (row.parts ?? []).filter((part) => !part.strict || !part.loose);
    const facts = [["value", valueText(value)], ["flags", (row.flags ?? []).join(", ")], ["reason", row.note ?? row.response?.error ?? ""]].filter(([, text]) => text);
    return make(
      "section", { className: "side", "aria-label": `Run ${letter}` },
      heading(`${letter}: ${page.names[letter === "A" ? 0 : 1]}`),
      make("dl", { className: "facts" }, ...facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, visible(text))))),
      ...(row.extracted === undefined ? [] : [heading("Extracted answer"), ...extractedNodes(row.extracted)]),
      ...(failed.length ? [heading("Failed checks"), partsTable(failed)] : []),
      heading("Response"),
      olmes.thought(row.response ?? {}) ?? "",
      written("response", row.response?.text ?? "", nodes),
    );
  }

  async function describe(at) {
    const [a, b] = await pairOf(at);
    const [glyph, label, className] = KINDS[kindOf(at)];
    const [textA, textB] = [a.response?.text ?? "", b.response?.text ?? ""];
    const found = isRendered() ? null : wordDiff(textA, textB);
    const [nodesA, nodesB] = found ? [parts(found[0], "gone"), parts(found[1], "new")] : [[visible(textA)], [visible(textB)]];
    const same = asked(a) === asked(b);
    const why = isRendered() ? "Rendered: the words that differ are marked in the raw texts." : "The responses differ so much that their words are not compared.";
    return [
      make("header", {}, make("h3", {}, visible(index.id[at])), make("span", { className: `verdict chip ${className}` }, `${glyph} ${label}`)),
      ...(same ? [heading("Question"), written("", asked(b))] : [heading("Question of A"), written("", asked(a)), heading("Question of B"), written("", asked(b))]),
      ...goldNodes(b.gold),
      make("div", { className: "sides" }, side("A", a, index.a[at], nodesA), side("B", b, index.b[at], nodesB)),
      found ? "" : note(why),
    ];
  }

  // --- Controls ------------------------------------------------------------------------------
  /** Checks the state, and shows it in the form. */
  function sync() {
    if (!page.tasks.includes(state.task)) state.task = "";
    if (!Object.hasOwn(KINDS, state.kind)) state.kind = "";
    for (const name of ["task", "kind", "q"]) {
      if (form.elements[name].value !== state[name]) form.elements[name].value = state[name];
    }
  }

  async function ready() {
    index = await unpacked(page.index);
    const options = [["", "All tasks"], ...page.tasks.map((name) => [name, page.titles[name]])];
    form.elements.task.replaceChildren(...options.map(([value, text]) => make("option", { value }, plain(text))));
  }

  const { state, start, again } = virtualList({
    section: "flips",
    fields: ["task", "kind", "q"],
    opened: "item",
    noun: "flip",
    search,
    idOf: (at) => index.id[at],
    summary,
    describe,
    sync,
  });
  onForm(again);
  start(ready);
})();
