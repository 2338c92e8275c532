// What a chart does beyond being looked at: the values at a step, and files of it to keep.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const STYLES = [
    "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight",
  ];
  const LINE = 16;
  const LETTER = 6.6;

  const element = (name, attributes = {}, text = "") => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  // The line under the pointer, and under the arrow keys where its words have the focus.
  function follow(figure, svg, data) {
    const [low, high, left, right] = data.x;
    const steps = [...new Set(data.rows.map((row) => row[1]))].sort((a, b) => a - b);
    const place = (step) => left + ((step - low) / (high - low)) * (right - left);
    const { height } = svg.viewBox.baseVal;
    const guide = element("line", { class: "guide", y1: 0, y2: height });
    const words = document.createElement("p");
    words.className = "readout";
    words.tabIndex = 0;
    words.setAttribute("role", "slider");
    words.setAttribute("aria-label", `${data.name}: values at a step`);
    words.setAttribute("aria-valuemin", steps[0]);
    words.setAttribute("aria-valuemax", steps.at(-1));
    svg.after(words);
    let at = steps.length - 1;

    const told = (row) => {
      const own = data.words[data.rows.indexOf(row)] ?? String(Number(row[2].toPrecision(4)));
      const several = new Set(data.rows.map((one) => one[0])).size > 1;
      return several ? `${data.series[row[0]]} ${own}` : own;
    };
    const tell = (next) => {
      at = Math.max(0, Math.min(steps.length - 1, next));
      const here = data.rows.filter((row) => row[1] === steps[at]).map(told);
      words.textContent = `${data.columns[1]} ${steps[at].toLocaleString("en")}: ${here.join("; ")}`;
      words.setAttribute("aria-valuenow", steps[at]);
      words.setAttribute("aria-valuetext", words.textContent);
    };
    const draw = () => {
      for (const end of ["x1", "x2"]) guide.setAttribute(end, place(steps[at]));
      if (!guide.isConnected) svg.prepend(guide);
    };
    const rest = () => {
      guide.remove();
      tell(steps.length - 1);
    };
    const point = (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const far = (step) => Math.abs(place(step) - x);
      tell(steps.reduce((best, step, index) => (far(step) < far(steps[best]) ? index : best), 0));
      draw();
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", () => document.activeElement !== words && rest());
    words.addEventListener("focus", draw);
    words.addEventListener("blur", rest);
    words.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 };
      if (event.key === "Enter") {
        const near = (link) => Math.abs(Number(link.querySelector("[cx]")?.getAttribute("cx")) - place(steps[at])) < 0.2;
        [...svg.querySelectorAll("a")].find(near)?.dispatchEvent(new MouseEvent("click"));
      }
      if (!(event.key in moves)) return;
      event.preventDefault();
      tell(moves[event.key]);
      draw();
    });
    tell(at);
  }

  // The drawing as a file of its own: with its colours, its title and what its lines are called.
  function alone(figure, svg) {
    const copy = svg.cloneNode(true);
    const copies = [copy, ...copy.querySelectorAll("*")];
    [svg, ...svg.querySelectorAll("*")].forEach((one, index) => {
      const style = getComputedStyle(one);
      for (const name of STYLES) copies[index].setAttribute(name, style.getPropertyValue(name));
    });
    for (const one of copy.querySelectorAll(".guide")) one.remove();
    for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    const { width, height } = svg.viewBox.baseVal;
    const { color, fontFamily } = getComputedStyle(figure);
    const caption = figure.querySelector("figcaption");
    const title = caption.querySelector("strong")?.textContent ?? caption.textContent;
    const lines = [[]];
    for (const word of title.split(/\s+/)) {
      if ([...lines.at(-1), word].join(" ").length * LETTER > width && lines.at(-1).length) lines.push([]);
      lines.at(-1).push(word);
    }
    const items = [...caption.querySelectorAll(".item")];
    const top = (lines.length + items.length) * LINE + 8;
    const ink = getComputedStyle(figure.querySelector("strong") ?? figure).color;
    const font = { "font-family": fontFamily, "font-size": "12px" };
    items.forEach((item, index) => {
      const y = (lines.length + index) * LINE - top;
      const series = item.querySelector(".key *");
      const fill = series ? getComputedStyle(series).fill : ink;
      copy.append(element("rect", { x: 0, y: y + 6, width: 10, height: 3, fill }));
      copy.append(element("text", { x: 16, y: y + 11, fill: color, ...font }, item.textContent.trim()));
    });
    lines.forEach((words, index) => {
      const y = index * LINE - top + 12;
      copy.append(element("text", { x: 0, y, fill: ink, "font-weight": 600, ...font }, words.join(" ")));
    });
    const whole = { x: -8, y: -top - 4, width: width + 16, height: height + top + 8 };
    copy.prepend(element("rect", { ...whole, fill: getComputedStyle(document.body).backgroundColor }));
    copy.setAttribute("viewBox", `${whole.x} ${whole.y} ${whole.width} ${whole.height}`);
    copy.setAttribute("width", whole.width);
    copy.setAttribute("height", whole.height);
    copy.setAttribute("xmlns", SVG);
    copy.removeAttribute("aria-hidden");
    return { text: new XMLSerializer().serializeToString(copy), ...whole };
  }

  function keep(blob, name, ending) {
    const link = document.createElement("a");
    link.download = `${name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80)}.${ending}`;
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function picture(figure, svg, name) {
    const { text, width, height } = alone(figure, svg);
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      canvas.width = 2 * width;
      canvas.height = 2 * height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => keep(blob, name, "png"));
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  // A field that a spreadsheet would take for a formula begins with an apostrophe.
  const field = (value) => {
    if (typeof value !== "string") return String(value ?? "");
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const table = (data) =>
    [data.columns, ...data.rows.map((row) => (data.x ? [data.series[row[0]], ...row.slice(1)] : row))]
      .map((row) => `${row.map(field).join(",")}\r\n`)
      .join("");

  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const svg = figure.querySelector("svg.chart");
    const data = JSON.parse(figure.dataset.chart);
    if (data.x) follow(figure, svg, data);
    const ways = {
      PNG: () => picture(figure, svg, data.name),
      SVG: () => keep(new Blob([alone(figure, svg).text], { type: "image/svg+xml" }), data.name, "svg"),
      CSV: () => keep(new Blob([table(data)], { type: "text/csv" }), data.name, "csv"),
    };
    const row = document.createElement("p");
    row.className = "save";
    for (const [word, act] of Object.entries(ways)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = word;
      button.setAttribute("aria-label", `Save ${data.name} as ${word}`);
      button.addEventListener("click", act);
      row.append(button);
    }
    figure.append(row);
  }
})();
