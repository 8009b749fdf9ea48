// One image of each task: thumbnails of all restorers, and a viewer with a before-after divider and zoom.
"use strict";

bench.images = (() => {
  const { el, fill, number } = bench;
  const ZOOMS = [["fit", "Fit"], ["1", "1×"], ["2", "2×"], ["4", "4×"]];

  const picture = (source, label) => el("img", { src: source, alt: label, draggable: "false", decoding: "async" });

  /** What may lie under the restored image. */
  const beneath = (strip, restored) => ({
    degraded: ["Degraded input", strip.degraded],
    clean: ["Clean image", strip.clean],
    error: ["Error map", restored.error],
  });

  function viewer(strip, id, favourite) {
    const first = strip.restored.findIndex((item) => item.label === favourite);
    const state = { restored: Math.max(0, first), under: "degraded" };
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
    const restorer = el("select", { onchange: (event) => choose(Number(event.target.value)) },
      ...strip.restored.map((item, index) => el("option", { value: index, text: `${item.label}, ${number(item.psnr)} dB` })));
    const under = el("select", { onchange: (event) => { state.under = event.target.value; refresh(); } },
      ...Object.entries(beneath(strip, strip.restored[0])).map(([value, [text]]) => el("option", { value, text })));
    const zooms = el("div", { class: "zooms", role: "group", "aria-label": "Zoom" }, ...ZOOMS.map(([value, text]) =>
      el("button", { type: "button", "data-zoom": value, "aria-pressed": String(value === "fit"), onclick: () => zoom(value), text })));
    const thumbnails = el("ul", { class: "thumbnails", "aria-label": "All versions of this image" }, ...thumbs());

    function thumbs() {
      const fixed = (label, source, note) =>
        el("li", {}, el("figure", {}, picture(source, `${label}, ${strip.image}`), el("figcaption", {}, el("span", { text: label }),
          el("span", { class: "interval", text: note }))));
      return [
        fixed("Degraded", strip.degraded, `${number(strip.inputPsnr)} dB`),
        ...strip.restored.map((item, index) => el("li", {}, el("button", { type: "button", "data-restored": index,
          onclick: () => choose(index) }, picture(item.url, ""), picture(item.error, ""), el("span", { text: item.label }),
        el("span", { class: "interval", text: `${number(item.psnr)} dB` })))),
        fixed("Clean", strip.clean, "reference"),
      ];
    }

    /** Put the divider at the slider's part of what is seen of the image, however far it is scrolled. */
    function divide() {
      const seen = Math.min(pane.clientWidth, stage.clientWidth);
      const part = seen ? (100 * pane.scrollLeft + slider.value * seen) / stage.clientWidth : Number(slider.value);
      stage.style.setProperty("--at", `${Number(part.toFixed(3))}%`);
      slider.setAttribute("aria-valuetext", `${names.firstChild.textContent} on the left ${slider.value} %`);
    }

    function choose(index) {
      state.restored = index;
      restorer.value = String(index);
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
        `${bench.signed(restored.psnr - strip.inputPsnr)} dB over the degraded input` +
        (state.under === "error" ? `. Error: mean over channels, black none, lightest ${strip.errorScale} of 255 and above` : "");
      thumbnails.querySelectorAll("button").forEach((button, index) =>
        button.setAttribute("aria-pressed", String(index === state.restored)));
      divide();
    }

    function zoom(value) {
      zooms.querySelectorAll("button").forEach((button) =>
        button.setAttribute("aria-pressed", String(button.dataset.zoom === value)));
      const before = [(pane.scrollLeft + pane.clientWidth / 2) / stage.clientWidth,
        (pane.scrollTop + pane.clientHeight / 2) / stage.clientHeight];
      stage.classList.toggle("fit", value === "fit");
      stage.classList.toggle("pixels", value !== "fit");
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
    stage.classList.add("fit"); // as the pressed button says
    choose(state.restored);
    return el("article", { class: "strip", id, "aria-labelledby": `${id}-title` },
      el("div", { class: "bar" },
        el("h3", { id: `${id}-title` }, strip.task, " ", el("span", { class: "unit", text: strip.image })),
        el("div", { class: "controls" }, el("label", {}, "Right ", restorer), el("label", {}, "Left ", under), zooms)),
      el("div", { class: "viewer", style: `--ratio: ${strip.width / strip.height}` },
        el("div", { class: "look" }, names, pane,
          slider, said),
        thumbnails));
  }

  function show(group) {
    if (!group.strips.length) {
      fill("strips", el("p", { class: "quiet", text: "No images were kept for this suite (bench run previews=auto keeps some)." }));
      return;
    }
    fill("strips", el("p", { class: "quiet small", text: "Of each task the image on which restorers differ most in PSNR, of those that all " +
      "of them restored: what divides them, not how well they do on average. Below each restored image its error, black for none, " +
      "on one scale for all." }),
      ...group.strips.map((strip, index) => viewer(strip, `strip-${index}`, group.order[0])));
  }

  return { show };
})();
