// What the parts of the page share: the data, elements, numbers, colours. All text goes in as text, never as markup.
"use strict";

window.bench = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const DASH = "–";
  // Okabe and Ito's colours in the order of the printed figures, each moved to 3:1 contrast on its ground.
  const COLOURS = {
    light: ["#0072b2", "#c98500", "#009e73", "#c0669a", "#d55e00", "#3a97c9", "#7d7d7d"],
    dark: ["#4ba3e3", "#e69f00", "#2bb88e", "#cc79a7", "#f07a2b", "#8fd0f5", "#a8a8a8"],
  };
  const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left", "triangle-right"];

  /** An element with attributes (`on...` are listeners, `text` is its text) and children (nodes or strings). */
  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function fill(id, ...children) {
    const node = document.getElementById(id);
    node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const number = (value, digits = 2) => (value === null || value === undefined ? DASH : value.toFixed(digits));
  const signed = (value, digits = 2) =>
    value === null || value === undefined ? DASH : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
  /** Three leading digits, without an exponent. */
  const short = (value) => {
    if (value === null || value === undefined) return DASH;
    const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toFixed(Math.min(digits, 4));
  };
  const interval = (low, high, digits = 2) =>
    low === null || low === undefined ? "" : `[${[low, high].map((end) => end.toFixed(digits).replace("-", "−")).join(", ")}]`;

  /** Options of a select; keeps the choice if it is still there. */
  function options(id, choices, chosen) {
    const select = document.getElementById(id);
    const wanted = chosen ?? select.value;
    select.replaceChildren(...choices.map(([value, text]) => el("option", { value, text })));
    if (choices.some(([value]) => value === String(wanted))) select.value = wanted;
    return select;
  }

  /** A plain table of numbers, as the text alternative of a figure. */
  function numbers(id, caption, head, rows) {
    fill(
      id,
      el(
        "table",
        { class: "numbers" },
        el("caption", { text: caption }),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text })))),
        el(
          "tbody",
          {},
          ...rows.map(([first, ...rest]) =>
            el("tr", {}, el("th", { scope: "row", text: first }), ...rest.map((text) => el("td", { text })))),
        ),
      ),
    );
  }

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (index) => COLOURS[dark.matches ? "dark" : "light"][index % COLOURS.light.length];
  const symbol = (index) => SYMBOLS[index % SYMBOLS.length];

  return { data, dark, DASH, el, fill, number, signed, short, interval, options, numbers, css, colour, symbol };
})();
