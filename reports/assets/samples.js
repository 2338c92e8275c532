// The sample browser: what is found by the filters, and how a sample is shown (virtual-list.js lists them).
// Texts are unpacked when needed.
// Whatever a model wrote reaches the page as text nodes only (text.js).
"use strict";
(() => {
  const { make, plain, visible, unpacked } = olmes;
  const { heading, note, asText, written, turn, folded, table, valueText, extractedNodes, goldNodes, partsTable, onForm } = sampleView;
  const VERDICTS = { right: "Right", partly: "Partly", wrong: "Wrong", none: "No verdict" };
  const GLYPHS = { right: "✓", partly: "◐", wrong: "✗", none: "–" };

  const page = JSON.parse(document.getElementById("page-data").textContent);
  const tasks = new Map(page.tasks.map((task) => [task.name, task]));
  const [form, detail] = [".filters", ".sample"].map((selector) => document.querySelector(selector));
  const wording = (flag) => page.flags[flag] ?? flag;
  const figure = (count) => count.toLocaleString("en");

  // An entry of the list is {task, index, at, verdict}: row `at` of a task's index.

  const SORTS = {
    "score-up": ["Score, lowest first", (entry) => scoreOf(entry), 1],
    "score-down": ["Score, highest first", (entry) => scoreOf(entry), -1],
    longest: ["Longest response first", ({ index, at }) => index.chars[at], -1],
    shortest: ["Shortest response first", ({ index, at }) => index.chars[at], 1],
    subtask: ["Sub-task", ({ index, at }) => index.subtask[at], 1],
  };

  // --- Packed data ---------------------------------------------------------------------------
  async function sampleOf({ task, index, at }) {
    const [number, start] = task.chunks.findLast(([, first]) => first <= at);
    const chunk = await unpacked(number);
    const sample = chunk.rows[at - start];
    return { ...sample, response: sample.response ?? {}, before: [...index.shared, ...(chunk.shots[sample.shots] ?? [])] };
  }

  /** `task[/subtask]/doc_id[~repeat]`. */
  function idOf({ task, index, at }) {
    const id = [task.name, index.subtask[at], index.doc[at]].filter((part) => part !== "").join("/");
    return index.repeat[at] ? `${id}~${index.repeat[at]}` : id;
  }

  const metricOf = (task) => [state.metric, task.primary, ...task.metrics].find((name) => task.metrics.includes(name));
  const scoreOf = ({ task, index, at }) => index.values[metricOf(task)]?.[at] ?? null;

  function verdictOf(task, index, at) {
    const value = scoreOf({ task, index, at });
    if (value === null) return "none";
    const good = task.lower.includes(metricOf(task)) ? 1 - value : value;
    return good >= 1 ? "right" : good <= 0 ? "wrong" : "partly";
  }

  // --- Text ----------------------------------------------------------------------------------
  /** Where `needle` last is in `text`, as a word of its own if it ever does; -1 if nowhere. */
  function lastPlace(text, needle) {
    const splitsWord = (at) => /^[\p{L}\p{N}]{2}$/u.test(text.slice(at - 1, at + 1));
    const last = text.lastIndexOf(needle);
    let at = last;
    while (at > 0 && (splitsWord(at) || splitsWord(at + needle.length))) at = text.lastIndexOf(needle, at - 1);
    return at < 0 ? last : at;
  }

  /** Nodes of `text` with the extracted answer marked where it last stands. */
  function marked(text, extracted) {
    const needle = ["string", "number"].includes(typeof extracted) ? String(extracted) : "";
    const at = needle ? lastPlace(text, needle) : -1;
    if (at < 0) return [visible(text)];
    const mark = make("mark", { title: "extracted answer" }, visible(needle));
    return [visible(text.slice(0, at)), mark, visible(text.slice(at + needle.length))];
  }

  // --- Filtering -----------------------------------------------------------------------------
  function holds(row, id, words) {
    const turns = row.messages.map((message) => message.content);
    const texts = [id, ...turns, row.prompt, row.prefill, row.response?.text, row.response?.reasoning, row.response?.reasoning_end, row.gold, row.extracted, row.note, ...(row.judgements ?? []).map((one) => one.text)];
    return texts.some((text) => asText(text ?? "").toLowerCase().includes(words));
  }

  /** Whether a response is judged on the chosen kind of instruction; `!kind`: and does not follow it, strictly read. */
  function hasPart(task, index, at) {
    const missed = state.part.startsWith("!");
    const kind = task.parts.indexOf(state.part.slice(missed ? 1 : 0));
    return (index.parts?.[at] ?? []).some(([number, strict]) => number === kind && !(missed && strict));
  }

  /** Entries in the order that was chosen; what has no value stands last. */
  function sorted(entries) {
    const [, key, sign] = SORTS[state.sort] ?? [];
    if (!key) return entries;
    const order = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : sign * (a < b ? -1 : 1));
    return entries.map((entry) => [key(entry), entry]).sort(([a], [b]) => order(a, b)).map(([, entry]) => entry);
  }

  /** The samples of a task under every filter but the verdict; `progress` stops it with false. */
  async function matches(task, progress) {
    const index = await unpacked(task.index);
    const entries = index.doc
      .map((_, at) => ({ task, index, at, verdict: verdictOf(task, index, at) }))
      .filter(({ at }) => !state.subtask || `${index.subtask[at]}:`.startsWith(`${state.subtask}:`))
      .filter(({ at }) => !state.flag || index.flags[at].includes(state.flag))
      .filter(({ at }) => !state.part || hasPart(task, index, at));
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

  /** The samples under every filter; null once a newer search began. */
  async function search(isNewest, say) {
    let read = 0;
    const progress = (more) => {
      read += more;
      if (isNewest()) say(`Searching, ${figure(read)} samples read …`);
      return isNewest();
    };
    const found = [];
    for (const task of state.task ? [tasks.get(state.task)] : tasks.values()) {
      for (const entry of await matches(task, progress)) found.push(entry);
      if (!isNewest()) return null;
    }
    countVerdicts(found);
    return sorted(found.filter(({ verdict }) => !state.verdict || verdict === state.verdict));
  }

  function countVerdicts(found) {
    const counts = Object.groupBy(found, ({ verdict }) => verdict);
    for (const input of form.elements.verdict) {
      const count = (input.value ? counts[input.value] ?? [] : found).length;
      input.labels[0].querySelector("b").textContent = figure(count);
      input.labels[0].hidden = ["partly", "none"].includes(input.value) && !count && !input.checked;
    }
  }

  const followed = (parts) => `${parts.filter(([, strict]) => strict).length} of ${parts.length} followed`;
  const summary = ({ task, index, at, verdict }) => ({
    glyph: GLYPHS[verdict],
    label: VERDICTS[verdict],
    className: verdict,
    note: index.flags[at].map(wording).join(", "),
    facts: [index.parts?.[at]?.length > 1 && followed(index.parts[at]), verdict === "partly" && scoreOf({ task, index, at }).toFixed(2), `${figure(index.chars[at])} chars`].filter(Boolean).join(" · "),
    line: index.line[at],
  });

  // --- Detail --------------------------------------------------------------------------------
  function headOf({ index, at, verdict }, id) {
    return make(
      "header", {},
      make("h3", {}, visible(id)),
      make("span", { className: `verdict chip ${verdict}` }, `${GLYPHS[verdict]} ${VERDICTS[verdict]}`),
      ...index.flags[at].map((flag) => make("span", { className: "tag caution" }, wording(flag))),
    );
  }

  function verdictPart({ task }, { values, response, parts }) {
    const honest = (name) => (task.honest.includes(name) ? [" ", make("span", { className: "tag" }, "honest")] : []);
    const label = (name) => task.labels[name] ?? name;
    const lines = Object.entries(values ?? {}).map(([name, value]) => [[visible(label(name)), ...honest(name)], valueText(value)]);
    return [
      lines.length && [heading("Verdict"), table(["Metric", "Value"], lines)],
      parts?.length && [heading("Checks"), partsTable(parts)],
    ];
  }

  /** Why the verdict is what it is, in the words of the scorer or of the failure. */
  function reasonPart({ note: reason, response }) {
    return [
      response.error && make("p", { className: "notice stop" }, "The request failed: ", visible(response.error)),
      reason && reason !== response.error && make("p", { className: "reason" }, visible(reason)),
    ];
  }

  function promptPart({ before, messages, prompt }) {
    return [
      before.length && [heading("Prompt"), folded(`${before.length} few-shot turns before the question`, () => before.map(turn))],
      messages.map(turn),
      typeof prompt === "string" && [heading("Plain prompt, without a chat template"), written("", prompt)],
    ];
  }

  function thoughtPart({ response }) {
    const fold = olmes.thought(response);
    return fold ? [heading("Thought before the response"), fold] : [];
  }

  function responsePart({ prefill, continuations, answers, response }, answer) {
    if (answers?.length) {
      const rewards = response.rewards ?? [];
      const best = Math.max(...rewards.map(Number));
      const equal = rewards.length > 1 && rewards.every((reward) => Number(reward) === best);
      const lines = answers.map((words, at) => [visible(words), valueText(rewards[at]), Number(rewards[at]) === best ? (equal ? "equal" : "preferred") : ""]);
      return [heading("Answers and their rewards"), table(["Answer", "Reward", ""], lines)];
    }
    if (continuations?.length) {
      const weights = response.logprobs ?? [];
      const best = Math.max(...weights.map(Number));
      const lines = continuations.map((words, at) => [visible(words), valueText(weights[at]), Number(weights[at]) === best ? "likeliest" : ""]);
      return [heading("Continuations"), table(["Continuation", "Log-probability", ""], lines)];
    }
    const given = make("span", { className: "given", title: "prefill: given to the model" }, visible(prefill ?? ""));
    return [heading(prefill ? "Response (dotted words were prefilled)" : "Response"), written("response", `${prefill ?? ""}${response.text ?? ""}`, [...(prefill ? [given] : []), ...answer])];
  }

  /** The extracted answer beside the gold, for a task that extracts one. */
  function answerPart({ extracted = null, gold = null, response }, answer) {
    const own = extracted === null ? [note("none found")] : extractedNodes(extracted);
    const quoted = typeof extracted !== "object" && response.text;
    const elsewhere = quoted && !answer.some((node) => node.tagName === "MARK");
    const left = make("div", {}, heading("Extracted answer"), ...own, elsewhere ? note("Not word for word in the response.") : "");
    return make("div", { className: "answers" }, left, make("div", {}, ...goldNodes(gold)));
  }

  /** What a judge was asked about the response, and what it said. */
  function judgementPart({ judgements = [] }) {
    const candidates = (texts) => texts.map((text) => written("", text));
    return judgements.map((one, at) => {
      const turns = () => one.candidates
        ? [heading("Reference"), written("", one.reference ?? ""), heading("Candidates"), ...candidates(one.candidates)]
        : [...(one.messages ?? []).map(turn), one.prompt ? written("", one.prompt) : ""];
      const fold = folded(one.candidates ? plain(`Compared by ${one.encoder}`) : "Question to the judge", turns);
      const answer = one.similarities?.length ? one.similarities.map((value) => Number(value).toFixed(3)).join(", ") : one.text ?? "";
      return [
        heading(`Judgement ${judgements.length > 1 ? `${at + 1} of ${judgements.length}` : ""}`),
        fold,
        one.error ? make("p", { className: "notice caution" }, visible(one.error)) : written("response", answer),
        note(`${one.prompt_tokens ?? 0} tokens read, ${one.completion_tokens ?? 0} written by the judge`),
      ];
    });
  }

  async function describe(entry) {
    const sample = await sampleOf(entry);
    const { response } = sample;
    const { extracts } = entry.task;
    const answer = marked(response.text ?? "", sample.extracted);
    const ends = { stop: "stopped", length: "cut at the token limit", error: "failed" };
    const facts = [
      response.filtered
        ? "cut by the server's content filter"
        : (ends[response.finish] ?? "no response"),
      // A recording may not know its tokens.
      (response.prompt_tokens || response.completion_tokens) && `${response.prompt_tokens ?? 0} prompt tokens, ${response.completion_tokens ?? 0} response tokens${response.reasoning_tokens ? `, ${response.reasoning_tokens} of them thought` : ""}`,
      response.prompt_truncated && `${response.prompt_truncated} prompt tokens cut`,
      `item ${sample.doc_hash}, prompt ${sample.prompt_hash}`,
    ];
    const judged = [headOf(entry, idOf(entry)), reasonPart(sample), promptPart(sample), extracts && answerPart(sample, answer), verdictPart(entry, sample), !extracts && goldNodes(sample.gold ?? null)];
    const said = [thoughtPart(sample), responsePart(sample, answer), note(plain(facts.filter(Boolean).join(", "))), judgementPart(sample)];
    return [judged, said].flat(4).filter(Boolean);
  }

  /** Marks the words searched for in the open sample, without touching its nodes. */
  function highlight() {
    const words = new RegExp(state.q.replace(/[^\p{L}\p{N}]/gu, "\\$&"), "gi");
    const walker = document.createTreeWalker(detail, NodeFilter.SHOW_TEXT);
    const ranges = [];
    for (let node; state.q && (node = walker.nextNode()); ) {
      for (const { 0: hit, index } of node.data.matchAll(words)) {
        const [start, end] = [index, index + hit.length];
        ranges.push(new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end }));
      }
    }
    globalThis.CSS?.highlights?.set("hit", new Highlight(...ranges));
  }

  // --- Controls ------------------------------------------------------------------------------
  /** Checks the state, and shows it in the form. */
  function sync(changed) {
    if (changed === "task") state.subtask = "";
    if (!tasks.has(state.task)) state.task = "";
    const scope = state.task ? [tasks.get(state.task)] : [...tasks.values()];
    const choices = {
      task: ["All tasks", [...tasks.values()].map(({ name, title }) => [name, title])],
      subtask: ["All sub-tasks", state.task ? scope[0].subtasks.map((name) => [name, name]) : []],
      metric: ["Primary metric", [...new Map(scope.flatMap((task) => task.metrics.map((name) => [name, task.labels[name] ?? name])))]],
      flag: ["Any", [...new Set(scope.flatMap((task) => task.flags))].map((name) => [name, wording(name)])],
      part: ["Any", [...new Set(scope.flatMap((task) => task.parts))].flatMap((name) => [[name, name], [`!${name}`, `${name}, not followed`]])],
      sort: ["Item", Object.entries(SORTS).filter(([name]) => name !== "subtask" || scope.some((task) => task.subtasks.length)).map(([name, [words]]) => [name, words])],
    };
    for (const [name, [all, known]] of Object.entries(choices)) {
      const select = form.elements[name];
      select.replaceChildren(...[["", all], ...known].map(([value, text]) => make("option", { value }, plain(text))));
      select.value = known.some(([value]) => value === state[name]) ? state[name] : "";
      state[name] = select.value;
      select.parentElement.hidden = !["metric", "sort"].includes(name) && !known.length;
    }
    if (!Object.hasOwn(VERDICTS, state.verdict)) state.verdict = "";
    for (const input of form.elements.verdict) input.checked = input.value === state.verdict;
    if (form.elements.q.value !== state.q) form.elements.q.value = state.q;
  }

  const { state, start, again } = virtualList({
    section: "browser",
    fields: ["task", "subtask", "metric", "verdict", "flag", "part", "sort", "q"],
    opened: "sample",
    noun: "sample",
    search,
    idOf,
    summary,
    describe,
    sync,
    onOpened: highlight,
  });
  onForm(again);
  start();
})();
