// The sample browser: what is found by the filters, and how a sample is shown (virtual-list.js lists them).
// Texts are unpacked when needed.
// Whatever a model wrote reaches the page as text nodes only (text.js).
"use strict";
(() => {
  const { make, plain, visible, block, unpacked } = olmes;
  const VERDICTS = { right: "Right", partly: "Partly", wrong: "Wrong", none: "No verdict" };
  const GLYPHS = { right: "✓", partly: "◐", wrong: "✗", none: "–" };

  const page = JSON.parse(document.getElementById("page-data").textContent);
  const tasks = new Map(page.tasks.map((task) => [task.name, task]));
  const [form, detail] = [".filters", ".sample"].map((selector) => document.querySelector(selector));
  const wording = (flag) => page.flags[flag] ?? flag;
  const figure = (count) => count.toLocaleString("en");

  // An entry of the list is {task, index, at, verdict}: row `at` of a task's index.

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

  function verdictOf(task, index, at) {
    const metric = [state.metric, task.primary, ...task.metrics].find((name) => task.metrics.includes(name));
    const value = index.values[metric]?.[at] ?? null;
    if (value === null) return "none";
    const good = task.lower.includes(metric) ? 1 - value : value;
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
  const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));
  function holds(row, id, words) {
    const turns = row.messages.map((message) => message.content);
    const texts = [id, ...turns, row.prompt, row.prefill, row.response?.text, row.response?.reasoning, row.response?.reasoning_end, row.gold, row.extracted, row.note, ...(row.judgements ?? []).map((one) => one.text)];
    return texts.some((text) => asText(text ?? "").toLowerCase().includes(words));
  }

  /** The samples of a task under every filter but the verdict; `progress` stops it with false. */
  async function matches(task, progress) {
    const index = await unpacked(task.index);
    const entries = index.doc
      .map((_, at) => ({ task, index, at, verdict: verdictOf(task, index, at) }))
      .filter(({ at }) => !state.subtask || `${index.subtask[at]}:`.startsWith(`${state.subtask}:`))
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
    return found.filter(({ verdict }) => !state.verdict || verdict === state.verdict);
  }

  function countVerdicts(found) {
    const counts = Object.groupBy(found, ({ verdict }) => verdict);
    for (const input of form.elements.verdict) {
      const count = (input.value ? counts[input.value] ?? [] : found).length;
      input.labels[0].querySelector("b").textContent = figure(count);
      input.labels[0].hidden = ["partly", "none"].includes(input.value) && !count && !input.checked;
    }
  }

  const summary = ({ index, at, verdict }) => ({
    glyph: GLYPHS[verdict],
    label: VERDICTS[verdict],
    className: verdict,
    note: index.flags[at].map(wording).join(", "),
    line: index.line[at],
  });

  // --- Detail --------------------------------------------------------------------------------
  const heading = (text) => make("h4", {}, visible(text));
  const note = (...nodes) => make("p", { className: "note" }, ...nodes);
  const turnOf = ({ role, content }) => make("div", { className: `turn ${role}` }, heading(role), block("", visible(content)));

  function table(names, lines) {
    const row = (kind, cells) => make("tr", {}, ...cells.map((cell) => make(kind, {}, ...[cell].flat())));
    return make("table", {}, make("thead", {}, row("th", names)), make("tbody", {}, ...lines.map((cells) => row("td", cells))));
  }

  function valueText(value) {
    if (Array.isArray(value)) return `${value.filter(Boolean).length} of ${value.length}`;
    return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : asText(value ?? null);
  }

  function headOf({ index, at, verdict }, id) {
    return make(
      "header", {},
      make("h3", {}, visible(id)),
      make("span", { className: `verdict chip ${verdict}` }, `${GLYPHS[verdict]} ${VERDICTS[verdict]}`),
      ...index.flags[at].map((flag) => make("span", { className: "tag caution" }, wording(flag))),
    );
  }

  function verdictPart({ task }, { values, note: reason, response, parts }) {
    const honest = (name) => (task.honest.includes(name) ? [" ", make("span", { className: "tag" }, "honest")] : []);
    const yesNo = (holds) => make("span", { className: `verdict ${holds ? "right" : "wrong"}` }, holds ? "✓ yes" : "✗ no");
    const label = (name) => task.labels[name] ?? name;
    const lines = Object.entries(values ?? {}).map(([name, value]) => [[visible(label(name)), ...honest(name)], valueText(value)]);
    const judged = (parts ?? []).map((part) => [visible(part.id), yesNo(part.strict), yesNo(part.loose), visible(part.note ?? "")]);
    return [
      lines.length && [heading("Verdict"), table(["Metric", "Value"], lines)],
      judged.length && [heading("Instructions"), table(["Instruction", "Strict", "Loose", "Note"], judged)],
      response.error && make("p", { className: "notice stop" }, "The request failed: ", visible(response.error)),
      reason && reason !== response.error && note(visible(reason)),
    ];
  }

  function promptPart({ before, messages, prompt }) {
    const fold = make("details", {}, make("summary", {}, `${before.length} few-shot turns before the question`));
    fold.addEventListener("toggle", () => fold.append(...before.map(turnOf)), { once: true });
    return [
      before.length && [heading("Prompt"), fold],
      messages.map(turnOf),
      typeof prompt === "string" && [heading("Plain prompt, without a chat template"), block("", visible(prompt))],
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
    return [heading(prefill ? "Response (dotted words were prefilled)" : "Response"), block("response", ...(prefill ? [given] : []), ...answer)];
  }

  function answerPart({ extracted = null, gold = null, response }, answer) {
    const own = extracted === null ? note("none found") : block("", visible(asText(extracted)));
    const elsewhere = extracted !== null && response.text && !answer.some((node) => node.tagName === "MARK");
    return make(
      "div", { className: "answers" },
      make("div", {}, heading("Extracted answer"), own, elsewhere ? note("Not word for word in the response.") : ""),
      make("div", {}, heading("Gold"), block("", visible(asText(gold)))),
    );
  }

  /** What a judge was asked about the response, and what it said. */
  function judgementPart({ judgements = [] }) {
    const candidates = (texts) => texts.map((text) => block("", visible(text)));
    return judgements.map((one, at) => {
      const turns = one.candidates
        ? [heading("Reference"), block("", visible(one.reference ?? "")), heading("Candidates"), ...candidates(one.candidates)]
        : [...(one.messages ?? []).map(turnOf), one.prompt ? block("", visible(one.prompt)) : ""];
      const fold = make("details", {}, make("summary", {}, one.candidates ? plain(`Compared by ${one.encoder}`) : "Question to the judge"));
      fold.addEventListener("toggle", () => fold.append(...turns), { once: true });
      const answer = one.similarities?.length ? one.similarities.map((value) => Number(value).toFixed(3)).join(", ") : one.text ?? "";
      return [
        heading(`Judgement ${judgements.length > 1 ? `${at + 1} of ${judgements.length}` : ""}`),
        fold,
        one.error ? make("p", { className: "notice caution" }, visible(one.error)) : block("response", visible(answer)),
        note(`${one.prompt_tokens ?? 0} tokens read, ${one.completion_tokens ?? 0} written by the judge`),
      ];
    });
  }

  async function describe(entry) {
    const sample = await sampleOf(entry);
    const { response } = sample;
    const answer = marked(response.text ?? "", sample.extracted);
    const ends = { stop: "stopped", length: "cut at the token limit", error: "failed" };
    const facts = [
      response.filtered
        ? "cut by the server's content filter"
        : (ends[response.finish] ?? "no response"),
      `${response.prompt_tokens ?? 0} prompt tokens, ${response.completion_tokens ?? 0} response tokens${response.reasoning_tokens ? `, ${response.reasoning_tokens} of them thought` : ""}`,
      response.prompt_truncated && `${response.prompt_truncated} prompt tokens cut`,
      `item ${sample.doc_hash}, prompt ${sample.prompt_hash}`,
    ];
    const asked = [headOf(entry, idOf(entry)), promptPart(sample), thoughtPart(sample), responsePart(sample, answer)];
    const judged = [answerPart(sample, answer), verdictPart(entry, sample), judgementPart(sample)];
    return [asked, note(plain(facts.filter(Boolean).join(", "))), judged].flat(4).filter(Boolean);
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
    };
    for (const [name, [all, known]] of Object.entries(choices)) {
      const select = form.elements[name];
      select.replaceChildren(...[["", all], ...known].map(([value, text]) => make("option", { value }, plain(text))));
      select.value = known.some(([value]) => value === state[name]) ? state[name] : "";
      state[name] = select.value;
      select.parentElement.hidden = name !== "metric" && !known.length;
    }
    if (!Object.hasOwn(VERDICTS, state.verdict)) state.verdict = "";
    for (const input of form.elements.verdict) input.checked = input.value === state.verdict;
    if (form.elements.q.value !== state.q) form.elements.q.value = state.q;
  }

  const { state, start } = virtualList({
    section: "browser",
    fields: ["task", "subtask", "metric", "verdict", "flag", "q"],
    opened: "sample",
    noun: "sample",
    search,
    idOf,
    summary,
    describe,
    sync,
    onOpened: highlight,
  });
  start();
})();
