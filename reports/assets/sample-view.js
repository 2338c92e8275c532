// How a sample is shown, on the pages of a run and of a comparison: its texts, raw or rendered, its tables, its verdict.
// Whatever a model wrote reaches the page as text nodes (text.js) or as nodes of rendered.js.
"use strict";
const sampleView = (() => {
  const { make, visible, block, kept } = olmes;
  const choice = document.querySelector("[name=rendered]");
  const LONG_GOLD = 300; // characters
  const stored = kept("olmes-rendered");

  const heading = (text) => make("h4", {}, visible(text));
  const note = (...nodes) => make("p", { className: "note" }, ...nodes);
  const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value ?? null, null, 1));
  const isRendered = () => Boolean(choice?.checked);

  /** A text as it was written, or rendered where that was chosen; `raw` are the nodes of the former. */
  function written(className, text, raw = [visible(text)]) {
    const shown = isRendered() && text ? olmes.rendered(text, { answer: className === "answer" }) : null;
    if (!shown) return block(className, ...raw);
    shown.classList.add("text", ...className.split(" ").filter(Boolean));
    return shown;
  }

  const turn = ({ role, content }) => make("div", { className: `turn ${role}` }, heading(role), written("", content ?? ""));

  /** Nodes behind a fold, made when it is opened. */
  function folded(title, nodes) {
    const fold = make("details", {}, make("summary", {}, title));
    fold.addEventListener("toggle", () => fold.append(...nodes()), { once: true });
    return fold;
  }

  function table(names, lines) {
    const row = (kind, cells) => make("tr", {}, ...cells.map((cell) => make(kind, {}, ...[cell].flat())));
    return make("table", {}, make("thead", {}, row("th", names)), make("tbody", {}, ...lines.map((cells) => row("td", cells))));
  }

  /** A value in few words. */
  function valueText(value) {
    if (Array.isArray(value)) return `${value.filter(Boolean).length} of ${value.length}`;
    return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : asText(value);
  }

  /** What was extracted: one answer as it is, of several each with its place. */
  function extractedNodes(extracted) {
    if (!Array.isArray(extracted) || !extracted.every((one) => typeof one !== "object")) return [written("answer", asText(extracted))];
    if (extracted.length === 1) return [written("answer", asText(extracted[0]))];
    const same = extracted.every((one) => one === extracted[0]);
    if (same && extracted.length) return [written("answer", asText(extracted[0])), note(`Found ${extracted.length} times.`)];
    return [
      table(["Candidate", "Answer"], extracted.map((one, at) => [`${at + 1}`, visible(asText(one))])),
      note("In the order in which the scorer finds them; what of it a metric takes stands in its description."),
    ];
  }

  /** What the response is held against; folded where it is long. */
  function goldNodes(gold) {
    const text = asText(gold);
    const shown = () => [written("answer", text)];
    const long = text.length > LONG_GOLD || text.split("\n").length > 8;
    return long ? [folded("Gold", shown)] : [heading("Gold"), ...shown()];
  }

  /** What a response is judged on one by one: instructions, or the tests of a program. */
  function partsTable(parts) {
    const yesNo = (holds) => make("span", { className: `verdict ${holds ? "right" : "wrong"}` }, holds ? "✓ yes" : "✗ no");
    const twofold = parts.some(({ strict, loose }) => strict !== loose);
    const noted = parts.some((part) => part.note);
    const lines = parts.map((part) => [visible(part.id), yesNo(part.strict), ...(twofold ? [yesNo(part.loose)] : []), ...(noted ? [visible(part.note ?? "")] : [])]);
    return table(["Check", ...(twofold ? ["Strict", "Loose"] : ["Passed"]), ...(noted ? ["Note"] : [])], lines);
  }

  /** Does `action` at once whenever the other form of texts is chosen; the choice is remembered. */
  function onForm(action) {
    if (!choice) return;
    choice.checked = stored.get() === "rendered";
    choice.addEventListener("change", () => {
      stored.set(choice.checked ? "rendered" : "raw");
      action();
    });
  }

  return { heading, note, asText, isRendered, written, turn, folded, table, valueText, extractedNodes, goldNodes, partsTable, onForm };
})();
