// A text of a model as it was meant to be seen: Markdown and LaTeX as nodes.
// What a model wrote is hostile: marked gives tokens and Temml gives nodes, so that no HTML is ever made from text. HTML in
// a text stays text, nothing is loaded, nothing can be clicked; what cannot be rendered stays as it was written.
"use strict";
olmes.rendered = (() => {
  const { make, visible } = olmes;
  const LONGEST = 20_000; // characters of a text: a lexer of Markdown may take the square of them
  const LONGEST_FORMULA = 2_000;
  const MILLISECONDS = 400; // for the formulas of one text; the others stay LaTeX
  const DEEPEST = 40; // lists in lists and quotes in quotes
  // Commands that make commands: a line of them can grow without end, and no answer needs one.
  const DEFINES = /\\(?:[egx]?def|(?:re)?newcommand|providecommand|(?:future)?let|newenvironment|global|long|csname|expandafter)\b/;
  const ENVIRONMENT = /^\\begin\{((?:align|equation|gather|multline|cases|array|[bpvV]?matrix)\*?)\}[\s\S]{1,2000}?\\end\{\1\}/;
  const DISPLAYED = /^(?:\$\$([\s\S]{1,2000}?)\$\$|\\\[([\s\S]{1,2000}?)\\\])/;
  // A dollar sign opens a formula before a letter or figure and closes one behind it, so that prices stay prices.
  const INLINE = /^(?:\\\(([\s\S]{1,2000}?)\\\)|\$(?![\s$])((?:\\[\s\S]|[^$\\\n]){1,2000}?)(?<!\s)\$(?![\d$]))/;

  function displayed(source) {
    const found = DISPLAYED.exec(source);
    if (found) return { type: "formula", raw: found[0], latex: found[1] ?? found[2], display: true };
    const whole = ENVIRONMENT.exec(source);
    return whole ? { type: "formula", raw: whole[0], latex: whole[0], display: true } : undefined;
  }

  function inline(source) {
    const found = INLINE.exec(source);
    return found ? { type: "formula", raw: found[0], latex: found[1] ?? found[2], display: false } : displayed(source);
  }

  const lexer = new marked.Marked({
    gfm: true,
    extensions: [
      {
        name: "formula", level: "block",
        start: (source) => { const at = source.search(/\n(?:\$\$|\\\[|\\begin\{)/); return at < 0 ? undefined : at; },
        tokenizer: displayed,
      },
      {
        name: "formula", level: "inline",
        start: (source) => { const at = source.search(/\$|\\[([]|\\begin\{/); return at < 0 ? undefined : at; },
        tokenizer: inline,
      },
    ],
  });

  // --- Formulas ------------------------------------------------------------------------------
  const MATHML = "http://www.w3.org/1998/Math/MathML";

  /** Whether nodes are mathematics and nothing else: no link, no picture, no address, no name, nothing that moves away. */
  function harmless(holder) {
    const allowed = ({ name, value }) => !/^(?:on|id$)|href|src/.test(name) && !(name === "style" && /url|position|content/i.test(value));
    return [...holder.querySelectorAll("*")].every(
      (node) => node.namespaceURI === MATHML && node.localName !== "maction" && [...node.attributes].every(allowed),
    );
  }

  function formula({ raw, latex, display }, until) {
    const holder = make(display ? "div" : "span", { className: "math" });
    if (display) Object.assign(holder, { tabIndex: 0 }); // where it is wider than the page, keys scroll it
    const asWritten = () => [make("span", { className: "latex" }, visible(raw))];
    if (!globalThis.temml || latex.length > LONGEST_FORMULA || DEFINES.test(latex) || performance.now() > until) return asWritten();
    try {
      const limits = { throwOnError: true, trust: false, maxExpand: 100, maxSize: [20, 20] };
      temml.render(latex, holder, { displayMode: display, ...limits });
      return harmless(holder) ? [holder] : asWritten();
    } catch {
      return asWritten(); // a model's LaTeX need not be right
    }
  }

  // --- Markdown ------------------------------------------------------------------------------
  /** Nodes of tokens. */
  function nodes(tokens, until, depth = 0) {
    if (depth > DEEPEST) return [visible((tokens ?? []).map(({ raw }) => raw).join(""))];
    const inner = (token) => nodes(token.tokens, until, depth + 1);
    const element = (tag, properties = {}) => (token) => [make(tag, properties, ...inner(token))];
    const asText = (token) => (token.tokens ? inner(token) : [visible(token.text ?? token.raw)]);
    /** Where it leads is said; nothing leads there. */
    const address = ({ href, text }) => (href && href !== text ? [make("span", { className: "note" }, visible(` (${href})`))] : []);
    const row = (tag, cells) => make("tr", {}, ...cells.map((cell) => make(tag, {}, ...inner(cell))));
    const kinds = {
      space: () => [],
      paragraph: element("p"),
      heading: element("p", { className: "heading" }),
      blockquote: element("blockquote"),
      strong: element("strong"),
      em: element("em"),
      del: element("del"),
      br: () => [make("br")],
      hr: () => [make("hr")],
      code: ({ text }) => [make("pre", {}, visible(text))],
      codespan: ({ text }) => [make("code", {}, visible(text))],
      escape: ({ text }) => [visible(text)],
      html: ({ raw }) => [visible(raw)],
      def: ({ raw }) => [visible(raw)],
      checkbox: ({ checked }) => [checked ? "☑ " : "☐ "],
      link: (token) => [...inner(token), ...address(token)],
      image: (token) => [visible(`[picture: ${token.text}]`), ...address(token)],
      list: ({ ordered, start, items }) => [make(ordered ? "ol" : "ul", ordered && start !== "" ? { start } : {}, ...items.map((item) => make("li", {}, ...inner(item))))],
      table: ({ header, rows }) => [make("table", {}, make("thead", {}, row("th", header)), make("tbody", {}, ...rows.map((cells) => row("td", cells))))],
      formula: (token) => formula(token, until),
    };
    return (tokens ?? []).flatMap((token) => (Object.hasOwn(kinds, token.type) ? kinds[token.type] : asText)(token));
  }

  const isBare = (text) => /\\[a-zA-Z]/.test(text) && !/[$\n]|\\[([]/.test(text);

  /** `text` rendered; null where it is too long, or more than a page can make of it. `answer`: it may be a formula alone. */
  return (text, { answer = false } = {}) => {
    if (text.length > LONGEST) return null;
    try {
      if (answer && isBare(text)) return make("div", { className: "rendered" }, ...formula({ raw: text, latex: `\\displaystyle ${text}`, display: false }, Infinity));
      const tokens = lexer.lexer(text.replaceAll("\r\n", "\n"));
      return make("div", { className: "rendered" }, ...nodes(tokens, performance.now() + MILLISECONDS));
    } catch {
      return null; // nested deeper than the lexer can go
    }
  };
})();
