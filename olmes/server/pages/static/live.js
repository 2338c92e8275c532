// Live updates: runs that arrive and evaluations under way, without a reload.
// Whatever the server sends reaches the page as text nodes only; numbers come as they are written.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const status = document.getElementById("live");
  const rows = document.getElementById("runs");
  const running = document.getElementById("running");
  const own = decodeURIComponent(location.pathname).match(/\/runs\/([^/]+)\/report\.html$/)?.[1];
  let arrived = 0;

  function make(name, fields, ...children) {
    const node = document.createElement(name);
    const { className, ...rest } = fields;
    if (className) node.className = className;
    for (const [key, value] of Object.entries(rest)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function choice(letter, run) {
    const name = letter.toLowerCase();
    const fields = { type: "radio", name, value: run.id, "aria-label": `${letter}: ${run.id}`, required: "" };
    return make("td", {}, make("input", fields));
  }

  /** A row as the template makes it. */
  function rowOf(run) {
    const tags = [
      run.held_out && (run.opened ? "unsealed" : "under seal"),
      run.demo_data && "demo data",
      !run.complete && "incomplete",
      run.limited,
      !run.standard && "not standard",
    ].filter(Boolean);
    const link = make("a", { href: `${root}runs/${encodeURIComponent(run.id)}/report.html` }, run.id);
    const marks = tags.flatMap((tag) => [" ", make("span", { className: "tag" }, tag)]);
    const step = run.step === null ? "" : `, step ${run.step.toLocaleString("en")}`;
    const notes = [run.model + step, run.lacking, run.look].filter(Boolean).map((text) => make("div", { className: "note" }, text));
    const number = make("td", { className: "number" }, run.score);
    if (run.interval) number.append(" ", make("span", { className: "ci" }, run.interval));
    if (run.thoughts) number.append(make("div", { className: "note" }, run.thoughts));
    return make(
      "tr", { "data-run": run.id, "data-moment": run.created, className: "arrived" }, choice("A", run), choice("B", run),
      make("th", { scope: "row" }, link, ...marks, ...notes),
      number, make("td", {}, run.what), make("td", {}, date(run.created)),
      make("td", { className: "number" }, run.items.toLocaleString("en")),
      make("td", { className: "number" }, run.samples.toLocaleString("en")),
    );
  }

  /** Whether a run stands above a row: the newer one does, of two of a moment the last by name. */
  function before(run, row) {
    const later = Date.parse(run.created) - Date.parse(row.dataset.moment);
    return later > 0 || (later === 0 && run.id > row.dataset.run);
  }

  function date(text) {
    const moment = new Date(text);
    const part = (options) => moment.toLocaleString("en-GB", { timeZone: "UTC", ...options });
    const day = part({ day: "numeric", month: "long", year: "numeric" });
    return `${day}, ${part({ hour: "2-digit", minute: "2-digit" })} UTC`;
  }

  function count(id, more) {
    const node = document.getElementById(id);
    node.textContent = (Number(node.textContent.replaceAll(",", "")) + more).toLocaleString("en");
  }

  function onRun(run) {
    arrived += 1;
    const words = arrived === 1 ? "A run arrived: " : `${arrived} runs arrived, the last: `;
    const target = own === run.id ? location.pathname : `${root}runs/${encodeURIComponent(run.id)}/report.html`;
    status.replaceChildren(words, make("a", { href: target }, run.id));
    // What is ranked or drawn is not moved under a reader's eyes.
    if (!rows && own !== run.id) status.append(" · ", make("a", { href: location.href.split("#")[0] }, "show here"));
    if (rows?.dataset.live) {
      const old = [...rows.children].find((row) => row.dataset.run === run.id);
      old?.remove();
      rows.insertBefore(rowOf(run), [...rows.children].find((row) => before(run, row)) ?? null);
      document.getElementById("no-runs").hidden = true;
      document.getElementById("choose").hidden = false;
      if (!old) {
        count("count", 1);
        count("samples", run.samples);
      }
    }
    drop(run.id);
  }

  const lineOf = (run) => running && [...running.children].find((line) => line.dataset.run === run);

  function drop(run) {
    lineOf(run)?.remove();
    if (running) document.getElementById("under-way").hidden = !running.children.length;
  }

  function onProgress(facts) {
    if (!running) return;
    if (facts.finished) return drop(facts.run);
    const task = facts.task ? ` (${facts.task})` : "";
    const more = [facts.score, facts.pace].filter(Boolean).map((text) => `, ${text}`).join("");
    const text = `${facts.run}: ${facts.done} of ${facts.total}${task}${more}`;
    const line = lineOf(facts.run) ?? running.appendChild(make("li", { "data-run": facts.run }));
    const bar = make("progress", { value: facts.done, max: Math.max(1, facts.total), "aria-hidden": "true" });
    line.replaceChildren(`${text} `, bar);
    document.getElementById("under-way").hidden = false;
  }

  const source = new EventSource(`${root}api/v1/events${rows ? `?since=${rows.dataset.since}` : ""}`);
  source.addEventListener("run", (event) => onRun(JSON.parse(event.data)));
  source.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (!arrived) status.textContent = "not connected; trying again";
  });
  source.addEventListener("open", () => {
    if (!arrived) status.textContent = "live";
  });
})();
