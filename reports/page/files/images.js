// Images of each task: a picker, all versions as thumbnails, and a viewer with a divider. Zoom is one for all pictures.
"use strict";

bench.images = (() => {
  const { el, fill, number } = bench;
  const ZOOMS = [["fit", "Fit"], ["1", "1×"], ["2", "2×"], ["4", "4×"]];
  let zoomed = "fit"; // shared by the viewers of all tasks
  let viewers = new Map(); // id of a viewer to what sets its zoom

  const picture = (source, label) => el("span", { class: "window" },
    el("img", { src: source, alt: label, draggable: "false", decoding: "async", loading: "lazy" }));

  /** What may lie under the restored image. */
  const beneath = (strip, restored) => ({
    degraded: ["Degraded input", strip.degraded],
    clean: ["Clean image", strip.clean],
    error: ["Error map", restored.error],
  });

  /** The colours of error maps with the errors they stand for. */
  const scale = (strip) => el("p", { class: "scale" },
    el("span", { text: "Error: 0" }),
    el("span", { class: "ramp", "aria-hidden": "true", style: `background: linear-gradient(90deg, ${bench.data.errorColours.join(", ")})` }),
    el("span", { text: `${strip.errorScale} and more, of 255` }));

  function zoomAll(value) {
    zoomed = value;
    for (const set of viewers.values()) set(value);
  }

  /** The viewer of one of a task's images; choosing another one puts its viewer in the place of this one. */
  function viewer(strips, index, id, favourite, under = "degraded") {
    const strip = strips[index];
    const first = strip.restored.findIndex((item) => item.label === favourite);
    const state = { restored: Math.max(0, first), under };
    const left = el("img", { class: "left", draggable: "false" });
    const right = el("img", { class: "right", draggable: "false" });
    const line = el("span", { class: "divider", "aria-hidden": "true" });
    const stage = el("div", { class: "stage" }, left, right, line);
    const pane = el("div", { class: "pane", tabindex: "0", role: "region", "aria-label": `${strip.task}: image, scrolls when zoomed` },
      stage);
    const slider = el("input", { type: "range", min: "0", max: "100", value: "50", step: "1", id: `${id}-divider`,
      "aria-label": `${strip.task}: divider between left and right image`, oninput: divide });
    const said = el("p", { class: "said", role: "status" });
    const names = el("div", { class: "sides", "aria-hidden": "true" }, el("span"), el("span"));
    const image = el("select", { onchange: (event) => another(Number(event.target.value)) },
      ...strips.map((other, place) => el("option", { value: place, text: other.image, selected: place === index })));
    const restorer = el("select", { onchange: (event) => choose(Number(event.target.value)) },
      ...strip.restored.map((item, place) => el("option", { value: place, text: `${item.label}, ${number(item.psnr)} dB` })));
    const below = el("select", { onchange: (event) => { state.under = event.target.value; refresh(); } },
      ...Object.entries(beneath(strip, strip.restored[0])).map(([value, [text]]) =>
        el("option", { value, text, selected: value === under })));
    const zooms = el("div", { class: "zooms", role: "group", "aria-label": "Zoom of all pictures" }, ...ZOOMS.map(([value, text]) =>
      el("button", { type: "button", "data-zoom": value, onclick: () => zoomAll(value), text })));
    const thumbnails = el("ul", { class: "thumbnails", "aria-label": "All versions of this image" }, ...thumbs());

    function thumbs() {
      const fixed = (label, source, note) =>
        el("li", {}, el("figure", {}, picture(source, `${label}, ${strip.image}`), el("figcaption", {}, el("span", { text: label }),
          el("span", { class: "interval", text: note }))));
      return [
        fixed("Degraded", strip.degraded, `${number(strip.inputPsnr)} dB`),
        ...strip.restored.map((item, place) => el("li", {}, el("button", { type: "button", "data-restored": place,
          onclick: () => choose(place) }, picture(item.url, ""), picture(item.error, ""), el("span", { text: item.label }),
        el("span", { class: "interval", text: `${number(item.psnr)} dB` })))),
        fixed("Clean", strip.clean, "reference"),
      ];
    }

    function another(place) {
      const next = viewer(strips, place, id, strip.restored[state.restored].label, state.under);
      article.replaceWith(next);
      next.querySelector("select").focus();
    }

    /** Put the divider at the slider's part of what is seen of the image; thumbnails show the same part of theirs. */
    function divide() {
      const seen = Math.min(pane.clientWidth, stage.clientWidth);
      const part = seen ? (100 * pane.scrollLeft + slider.value * seen) / stage.clientWidth : Number(slider.value);
      stage.style.setProperty("--at", `${Number(part.toFixed(3))}%`);
      slider.setAttribute("aria-valuetext", `${names.firstChild.textContent} on the left ${slider.value} %`);
      const times = seen ? stage.clientWidth / seen : 1;
      const from = (scrolled, whole) => Math.max(0, Math.min(whole ? scrolled / whole : 0, 1 - 1 / times));
      thumbnails.style.setProperty("--times", times.toFixed(4));
      thumbnails.style.setProperty("--x", from(pane.scrollLeft, stage.clientWidth).toFixed(4));
      thumbnails.style.setProperty("--y", from(pane.scrollTop, stage.clientHeight).toFixed(4));
    }

    function choose(place) {
      state.restored = place;
      restorer.value = String(place);
      refresh();
    }

    function refresh() {
      const restored = strip.restored[state.restored];
      const [label, source] = beneath(strip, restored)[state.under];
      left.src = source;
      left.alt = `${label}, ${strip.image}`;
      right.src = restored.url;
      right.alt = `Restored by ${restored.label}, ${strip.image}`;
      names.firstChild.textContent = label;
      names.lastChild.textContent = restored.label;
      said.textContent = `${restored.label}: ${number(restored.psnr)} dB, ` +
        `${bench.signed(restored.psnr - strip.inputPsnr)} dB over the degraded input`;
      thumbnails.querySelectorAll("button").forEach((button, place) =>
        button.setAttribute("aria-pressed", String(place === state.restored)));
      divide();
    }

    function zoom(value) {
      zooms.querySelectorAll("button").forEach((button) =>
        button.setAttribute("aria-pressed", String(button.dataset.zoom === value)));
      const before = [(pane.scrollLeft + pane.clientWidth / 2) / stage.clientWidth,
        (pane.scrollTop + pane.clientHeight / 2) / stage.clientHeight];
      stage.classList.toggle("fit", value === "fit");
      stage.classList.toggle("pixels", value !== "fit");
      thumbnails.classList.toggle("pixels", value !== "fit");
      stage.style.width = value === "fit" ? "" : `${strip.width * Number(value)}px`;
      pane.scrollLeft = before[0] * stage.clientWidth - pane.clientWidth / 2;
      pane.scrollTop = before[1] * stage.clientHeight - pane.clientHeight / 2;
      divide();
    }

    // The divider can be dragged on the image too; the slider below it is the way for keyboards and touch.
    pane.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse" || event.buttons !== 1) return;
      const seen = Math.min(pane.clientWidth, stage.clientWidth);
      slider.value = String(Math.round((100 * (event.clientX - pane.getBoundingClientRect().left)) / seen));
      divide();
    });
    pane.addEventListener("scroll", divide);
    new ResizeObserver(divide).observe(pane);

    stage.style.aspectRatio = `${strip.width} / ${strip.height}`;
    thumbnails.style.setProperty("--shape", `${strip.width} / ${strip.height}`);
    viewers.set(id, zoom);
    zoom(zoomed);
    choose(state.restored);
    const article = el("article", { class: "strip", id, "aria-labelledby": `${id}-title` },
      el("div", { class: "bar" },
        el("h3", { id: `${id}-title` }, strip.task, " ", el("span", { class: "unit", text: strip.image })),
        el("div", { class: "controls" }, strips.length > 1 ? el("label", {}, "Image ", image) : null,
          el("label", {}, "Right ", restorer), el("label", {}, "Left ", below), zooms)),
      el("div", { class: "viewer", style: `--ratio: ${strip.width / strip.height}` },
        el("div", { class: "look" }, names, pane,
          slider, said, scale(strip)),
        thumbnails));
    return article;
  }

  function show(group) {
    viewers = new Map();
    document.getElementById("images").hidden = !group.strips.length;
    document.getElementById("to-images").hidden = !group.strips.length;
    const tasks = Map.groupBy ? Map.groupBy(group.strips, (strip) => strip.task)
      : group.strips.reduce((all, strip) => all.set(strip.task, [...(all.get(strip.task) ?? []), strip]), new Map());
    fill("strips", el("p", { class: "quiet small", text: "Of each task those images first on which restorers differ most in PSNR, of " +
      "those that all of them restored: what divides them, not how well they do on average. Below each restored image its error, " +
      "mean over channels, black for none, on one scale for all. Zoom is the same for all pictures." }),
      group.imagesLeftOut ? el("p", { class: "quiet small", text: `${group.imagesLeftOut} more images are in the store; they were ` +
        "left out so that the page can be mailed." }) : null,
      ...[...tasks.values()].map((strips, place) => viewer(strips, 0, `strip-${place}`, group.order[0])));
  }

  return { show };
})();
