// The sample browser. Its whole state is the URL fragment, and texts are unpacked when needed.
// Whatever a model wrote reaches the page as text nodes only.
"use strict";
(() => {
  const ROW = 46; // pixels a row of the list, as in report.css
  const KEPT = 256; // unpacked chunks held in memory
  const VERDICTS = { "": "All", right: "Right", partly: "Partly", wrong: "Wrong", none: "No verdict" };
  const GLYPHS = { right: "✓", partly: "◐", wrong: "✗", none: "–" };
  // C0 but tab and newline, DEL, C1, soft hyphen, zero-width and bidirectional controls, line and
  // paragraph separators, byte order mark; then surrogates without their partner.
  const HIDDEN = new RegExp(
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]" +
      "|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]",
    "g",
  );

  const page = JSON.parse(document.getElementById("page-data").textContent);
  const tasks = new Map(page.tasks.map((task) => [task.name, task]));
  const find = (selector) => document.querySelector(selector);
  const [form, list, rows, detail, status] = [".filters", ".list", ".rows", ".detail", ".status"].map(find);
  const wording = (flag) => page.flags[flag] ?? flag;
  const figure = (count) => count.toLocaleString("en");

  const EMPTY = { task: "", subtask: "", metric: "", verdict: "", flag: "", q: "", sample: "" };
  let state = { ...EMPTY };
  let results = []; // {task, index, at, verdict}: row `at` of a task's index
  let chosen = -1; // position in `results`
  let turn = 0; // counts refreshes, so that a late one does not overwrite a newer

  // --- Packed data ---------------------------------------------------------------------------

  async function unpack(number) {
    const text = atob(document.getElementById(`blob-${number}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const held = new Map(); // unpacked texts by number, least recently used first
  function unpacked(number) {
    const value = held.get(number) ?? unpack(number);
    held.delete(number);
    held.set(number, value);
    if (held.size > KEPT) held.delete(held.keys().next().value);
    return value;
  }

  async function sampleOf({ task, index, at }) {
    const [number, start] = task.chunks.findLast(([, first]) => first <= at);
    const chunk = await unpacked(number);
    const sample = chunk.rows[at - start];
    return { ...sample, before: [...index.shared, ...(chunk.shots[sample.shots] ?? [])] };
  }

  /** `task[/subtask]/doc_id[~repeat]`. */
  function idOf({ task, index, at }) {
    const id = [task.name, index.subtask[at], index.doc[at]].filter((part) => part !== "").join("/");
    return index.repeat[at] ? `${id}~${index.repeat[at]}` : id;
  }

  function verdictOf(task, index, at) {
    const metric = [state.metric, task.primary, ...task.metrics].find((name) => task.metrics.includes(name));
    const value = index.values[metric]?.[at] ?? null;
    if (value === null) return "none";
    const good = task.lower.includes(metric) ? 1 - value : value;
    return good >= 1 ? "right" : good <= 0 ? "wrong" : "partly";
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

  /** Text as nodes, with characters that cannot be seen made visible. */
  function visible(text) {
    const nodes = [];
    let from = 0;
    for (const { 0: letter, index } of text.matchAll(HIDDEN)) {
      const code = letter.charCodeAt(0);
      const title = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
      const shown = code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "␡" : title;
      nodes.push(text.slice(from, index), make("span", { className: "control", title }, shown));
      from = index + 1;
    }
    return [...nodes, text.slice(from)];
  }

  /** Where `needle` last stands in `text`, as a word of its own if it ever does; -1 if nowhere. */
  function lastPlace(text, needle) {
    const splitsWord = (at) => /^[\p{L}\p{N}]{2}$/u.test(text.slice(at - 1, at + 1));
    const last = text.lastIndexOf(needle);
    for (let at = last; at >= 0; at = at > 0 ? text.lastIndexOf(needle, at - 1) : -1) {
      if (!(at && splitsWord(at)) && !splitsWord(at + needle.length)) return at;
    }
    return last;
  }

  /** Nodes of `text` with the extracted answer (or each of several) marked. */
  function marked(text, extracted) {
    const spans = [extracted].flat(9)
      .filter((item) => ["string", "number"].includes(typeof item) && item !== "")
      .map((item) => [lastPlace(text, String(item)), String(item).length])
      .filter(([at]) => at >= 0)
      .sort(([a], [b]) => a - b);
    const nodes = [];
    let from = 0;
    for (const [at, length] of spans) {
      if (at < from) continue;
      const mark = make("mark", { title: "extracted answer" }, ...visible(text.slice(at, at + length)));
      nodes.push(...visible(text.slice(from, at)), mark);
      from = at + length;
    }
    return [...nodes, ...visible(text.slice(from))];
  }

  // --- Filtering -----------------------------------------------------------------------------

  const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

  const haystacks = new WeakMap(); // by row of a chunk
  function holds(row, id, words) {
    if (!haystacks.has(row)) {
      const turns = row.messages.map((message) => message.content);
      const texts = [id, ...turns, row.prompt, row.prefill, row.response?.text, row.gold, row.extracted, row.note];
      haystacks.set(row, texts.map((text) => asText(text ?? "")).join("\n").toLowerCase());
    }
    return haystacks.get(row).includes(words);
  }

  /** The samples of a task under every filter but the verdict; `progress` stops it with false. */
  async function matches(task, progress) {
    const index = await unpacked(task.index);
    const entries = index.doc
      .map((_, at) => ({ task, index, at, verdict: verdictOf(task, index, at) }))
      .filter(({ at }) => !state.subtask || index.subtask[at] === state.subtask)
      .filter(({ at }) => !state.flag || index.flags[at].includes(state.flag));
    const words = state.q.toLowerCase();
    if (!words) return entries;
    const found = [];
    for (const [position, [number, start]] of task.chunks.entries()) {
      const end = task.chunks[position + 1]?.[1] ?? index.doc.length;
      const here = entries.filter(({ at }) => at >= start && at < end);
      const chunk = here.length ? await unpacked(number) : null;
      found.push(...here.filter((entry) => holds(chunk.rows[entry.at - start], idOf(entry), words)));
      if (!progress(end - start)) break;
    }
    return found;
  }

  async function refresh() {
    const mine = ++turn;
    let read = 0;
    const progress = (more) => {
      read += more;
      if (mine === turn) status.textContent = `Searching, ${figure(read)} samples read …`;
      return mine === turn;
    };
    const found = [];
    for (const task of state.task ? [tasks.get(state.task)] : tasks.values()) {
      for (const entry of await matches(task, progress)) found.push(entry);
      if (mine !== turn) return;
    }
    results = found.filter(({ verdict }) => !state.verdict || verdict === state.verdict);
    countVerdicts(found);
    const at = state.sample ? results.findIndex((entry) => idOf(entry) === state.sample) : 0;
    const missing = at < 0 ? `; ${state.sample} is not among them` : "";
    status.textContent = `${figure(results.length)} ${results.length === 1 ? "sample" : "samples"}${missing}`;
    rows.style.height = `${results.length * ROW}px`;
    list.scrollTop = 0;
    await choose(at);
  }

  function countVerdicts(found) {
    const counts = { "": found.length };
    for (const { verdict } of found) counts[verdict] = (counts[verdict] ?? 0) + 1;
    for (const label of form.querySelectorAll(".verdicts label")) {
      const { value } = label.control;
      const count = counts[value] ?? 0;
      label.lastChild.textContent = `${GLYPHS[value] ?? ""} ${VERDICTS[value]} ${figure(count)}`.trim();
      label.hidden = ["partly", "none"].includes(value) && !count && state.verdict !== value;
    }
  }

  // --- List ----------------------------------------------------------------------------------

  function rowOf(entry, place) {
    const { index, at, verdict } = entry;
    const glyph = make("span", { className: `verdict ${verdict}`, role: "img", "aria-label": VERDICTS[verdict] }, GLYPHS[verdict]);
    const flags = make("span", { className: "note" }, ` ${index.flags[at].map(wording).join(", ")}`);
    const row = make(
      "div",
      {
        className: "row", id: `row-${place}`, role: "option", "aria-selected": place === chosen,
        "aria-setsize": results.length, "aria-posinset": place + 1,
      },
      make("div", {}, glyph, ` ${idOf(entry)}`, flags),
      make("div", { className: "line" }, ...visible(index.line[at])),
    );
    row.style.top = `${place * ROW}px`;
    row.addEventListener("click", () => choose(place, { remember: true, reveal: true }));
    return row;
  }

  /** Draws the rows in view, and no others: a list of any length costs the same. */
  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(results.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
    rows.replaceChildren(...results.slice(first, last).map((entry, offset) => rowOf(entry, first + offset)));
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `row-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  /** Opens the sample at a position of the list. */
  async function choose(place, { remember = false, reveal = false } = {}) {
    chosen = Math.min(place, results.length - 1);
    const top = chosen * ROW;
    const bottom = top + ROW - list.clientHeight;
    if (chosen >= 0) list.scrollTop = Math.max(bottom, Math.min(top, list.scrollTop));
    draw();
    const entry = results[chosen];
    if (remember && entry) {
      state.sample = idOf(entry);
      writeAddress();
    }
    const nodes = entry ? describe(entry, await sampleOf(entry)) : [make("p", {}, "No sample is open.")];
    if (entry !== results[chosen]) return; // another was opened meanwhile
    detail.replaceChildren(...nodes);
    detail.scrollTop = 0;
    highlight();
    // On a phone the detail stands below the list.
    if (reveal && getComputedStyle(detail.parentElement).display === "block") detail.scrollIntoView();
  }

  // --- Detail --------------------------------------------------------------------------------

  const heading = (text) => make("h4", {}, text);
  const note = (...nodes) => make("p", { className: "note" }, ...nodes);
  const block = (className, ...nodes) => make("pre", { className: `text ${className}` }, ...nodes);
  const turnOf = ({ role, content }) => make("div", { className: `turn ${role}` }, heading(role), block("", ...visible(content)));

  function table(names, lines) {
    const row = (kind, cells) => make("tr", {}, ...cells.map((cell) => make(kind, {}, ...[cell].flat())));
    return make("table", {}, make("thead", {}, row("th", names)), make("tbody", {}, ...lines.map((cells) => row("td", cells))));
  }

  function valueText(value) {
    if (Array.isArray(value)) return `${value.filter(Boolean).length} of ${value.length}`;
    return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : asText(value ?? null);
  }

  function headOf({ index, at, verdict }, id) {
    const move = (label, step) => {
      const onclick = () => choose(chosen + step, { remember: true });
      return make("button", { type: "button", onclick, disabled: !results[chosen + step] }, label);
    };
    return make(
      "header", {},
      make("h3", {}, id),
      make("span", { className: `verdict chip ${verdict}` }, `${GLYPHS[verdict]} ${VERDICTS[verdict]}`),
      ...index.flags[at].map((flag) => make("span", { className: "tag caution" }, wording(flag))),
      make("span", { className: "moves" }, move("Previous", -1), move("Next", 1)),
    );
  }

  function verdictPart({ task }, { values, note: reason, response, parts }) {
    const honest = (name) => (task.honest.includes(name) ? [" ", make("span", { className: "tag" }, "honest")] : []);
    const yesNo = (holds) => make("span", { className: `verdict ${holds ? "right" : "wrong"}` }, holds ? "✓ yes" : "✗ no");
    const lines = Object.entries(values ?? {}).map(([name, value]) => [[name, ...honest(name)], valueText(value)]);
    const judged = (parts ?? []).map((part) => [part.id, yesNo(part.strict), yesNo(part.loose), visible(part.note ?? "")]);
    return [
      lines.length && [heading("Verdict"), table(["Metric", "Value"], lines)],
      judged.length && [heading("Instructions"), table(["Instruction", "Strict", "Loose", "Note"], judged)],
      reason && note(...visible(reason)),
      response.error && make("p", { className: "notice stop" }, "The request failed: ", ...visible(response.error)),
    ];
  }

  function promptPart({ before, messages, prompt }) {
    const fold = make("details", {}, make("summary", {}, `${before.length} few-shot turns before the question`));
    fold.addEventListener("toggle", () => fold.append(...before.map(turnOf)), { once: true });
    return [
      before.length && [heading("Prompt"), fold],
      messages.map(turnOf),
      typeof prompt === "string" && [heading("Plain prompt, without a chat template"), block("", ...visible(prompt))],
    ];
  }

  function responsePart({ prefill, continuations, response }, answer) {
    if (continuations?.length) {
      const weights = response.logprobs ?? [];
      const best = Math.max(...weights);
      const lines = continuations.map((words, at) => [visible(words), valueText(weights[at]), weights[at] === best ? "likeliest" : ""]);
      return [heading("Continuations"), table(["Continuation", "Log-probability", ""], lines)];
    }
    const given = make("span", { className: "given", title: "prefill: given to the model" }, ...visible(prefill ?? ""));
    return [heading(prefill ? "Response (its dotted first words were given)" : "Response"), block("response", ...(prefill ? [given] : []), ...answer)];
  }

  function answerPart({ extracted = null, gold = null }, found) {
    const own = extracted === null ? note("none found") : block("", ...visible(asText(extracted)));
    const apart = extracted !== null && !found && note("Does not stand in the response word for word.");
    return make(
      "div", { className: "answers" },
      make("div", {}, heading("Extracted answer"), own, apart || ""),
      make("div", {}, heading("Gold"), block("", ...visible(asText(gold)))),
    );
  }

  function describe(entry, sample) {
    const { response } = sample;
    const answer = marked(response.text ?? "", sample.extracted);
    const found = answer.some((node) => node.tagName === "MARK");
    const ends = { stop: "ended by itself", length: "ran into the token limit", error: "failed" };
    const facts = [
      ends[response.finish] ?? response.finish,
      `${response.prompt_tokens} prompt tokens, ${response.completion_tokens} response tokens`,
      response.prompt_truncated && `${response.prompt_truncated} prompt tokens cut`,
      `item ${sample.doc_hash}, prompt ${sample.prompt_hash}`,
    ];
    const nodes = [
      headOf(entry, idOf(entry)), promptPart(sample), responsePart(sample, answer), note(facts.filter(Boolean).join(", ")),
      answerPart(sample, found), verdictPart(entry, sample),
    ];
    return nodes.flat(3).filter(Boolean);
  }

  /** Marks the words searched for in the open sample, without touching its nodes. */
  function highlight() {
    const words = state.q.toLowerCase();
    const ranges = [];
    const walker = document.createTreeWalker(detail, NodeFilter.SHOW_TEXT);
    while (words && walker.nextNode()) {
      const text = walker.currentNode.data.toLowerCase();
      if (text.length !== walker.currentNode.length) continue; // lower case moved the positions
      for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + words.length)) {
        const range = new Range();
        range.setStart(walker.currentNode, at);
        range.setEnd(walker.currentNode, at + words.length);
        ranges.push(range);
      }
    }
    globalThis.CSS?.highlights?.set("hit", new Highlight(...ranges));
  }

  // --- Address and controls ------------------------------------------------------------------

  let pending; // browsers limit how often an address may change
  function writeAddress() {
    clearTimeout(pending);
    pending = setTimeout(() => {
      const filters = Object.entries(state).filter(([, value]) => value);
      const text = filters.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`).join("&");
      history.replaceState(null, "", `#${text || "browser"}`);
    }, 200);
  }

  function readAddress() {
    clearTimeout(pending);
    const given = new URLSearchParams(location.hash.slice(1));
    state = Object.fromEntries(Object.keys(EMPTY).map((name) => [name, given.get(name) ?? ""]));
    writeControls();
    return refresh();
  }

  function writeControls() {
    if (!tasks.has(state.task)) state.task = "";
    const scope = state.task ? [tasks.get(state.task)] : [...tasks.values()];
    const choices = {
      task: ["All tasks", [...tasks.values()].map(({ name, title }) => [name, title])],
      subtask: ["All sub-tasks", state.task ? scope[0].subtasks.map((name) => [name, name]) : []],
      metric: ["Primary metric", [...new Set(scope.flatMap((task) => task.metrics))].map((name) => [name, name])],
      flag: ["Any", [...new Set(scope.flatMap((task) => task.flags))].map((name) => [name, wording(name)])],
    };
    for (const [name, [all, known]] of Object.entries(choices)) {
      const select = form.elements[name];
      select.replaceChildren(...[["", all], ...known].map(([value, text]) => make("option", { value }, text)));
      select.value = known.some(([value]) => value === state[name]) ? state[name] : "";
      state[name] = select.value;
      select.parentElement.hidden = name !== "metric" && !known.length;
    }
    if (!(state.verdict in VERDICTS)) state.verdict = "";
    form.elements.verdict.value = state.verdict;
    if (form.elements.q.value !== state.q) form.elements.q.value = state.q;
  }

  let typing;
  function readControls(event) {
    state = { ...state, ...Object.fromEntries(new FormData(form)), sample: "" };
    if (event.target.name === "task") state.subtask = "";
    writeControls();
    writeAddress();
    clearTimeout(typing);
    typing = setTimeout(refresh, event.target.name === "q" ? 150 : 0);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.closest("input:not([type=radio]), select, textarea");
    if (field && event.key === "Escape") list.focus();
    if (field) return;
    const inList = event.target === list;
    const step = event.key === "j" || (inList && event.key === "ArrowDown") ? 1
      : event.key === "k" || (inList && event.key === "ArrowUp") ? -1 : 0;
    if (step && results[chosen + step]) choose(chosen + step, { remember: true });
    if (event.key === "/") form.elements.q.focus();
    if (step || event.key === "/") event.preventDefault();
  }

  function start() {
    for (const value of Object.keys(VERDICTS)) {
      form.querySelector(".verdicts").append(make("label", {}, make("input", { type: "radio", name: "verdict", value }), make("span")));
    }
    for (const button of document.querySelectorAll(".toggle")) {
      const body = document.getElementById(button.getAttribute("aria-controls"));
      const show = (open) => {
        button.setAttribute("aria-expanded", open);
        body.hidden = !open;
      };
      button.hidden = false;
      button.addEventListener("click", () => show(body.hidden));
      show(false);
    }
    form.addEventListener("input", readControls);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      location.hash = "browser";
    });
    list.addEventListener("scroll", () => requestAnimationFrame(draw));
    addEventListener("resize", draw);
    addEventListener("keydown", onKey);
    addEventListener("hashchange", () => readAddress().then(toBrowser));
    find("#browser-app").hidden = false;
    readAddress().then(() => location.hash.length > 1 && toBrowser());
  }

  function toBrowser() {
    find("#browser").scrollIntoView();
    find("#browser").focus({ preventScroll: true });
  }

  if (globalThis.DecompressionStream) start();
  else find("#browser-unable").hidden = false;
})();
