// The three figures of a group, drawn by Plotly from the page's data; each has a caption and its numbers as a table.
"use strict";

bench.figures = (() => {
  const { fill, number, signed, short, interval, options } = bench;
  const COSTS = {
    params: ["Parameters", "M"],
    macs: ["MACs at 256×256 without Fourier transforms", "G"],
    latency: ["Latency", "ms"],
    memory: ["Peak memory", "MiB"],
  };
  const narrow = window.matchMedia("(max-width: 600px)");
  const PAPER = 960; // pixels between the margins of a sheet, with room to spare
  let group = null;
  let printing = false;

  const escape = (text) => text.replace(/[&<>"%{}]/g, (sign) => `&#${sign.charCodeAt(0)};`); // Plotly reads labels as markup
  const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "");
  const byId = (id) => document.getElementById(id);
  const ranked = () => group.rows.filter((row) => !row.isInput);
  const look = (label) => ranked().findIndex((row) => row.label === label); // rows come in the order of their labels
  const bars = (points) => ({
    type: "data",
    symmetric: false,
    array: points.map((point) => (point.low === null ? 0 : point.high - point.mean)),
    arrayminus: points.map((point) => (point.low === null ? 0 : point.mean - point.low)),
    thickness: 1.2,
    width: 3,
  });

  function axis(title, extra = {}) {
    return {
      title: { text: title, standoff: 10, font: { size: 12.5 } },
      gridcolor: bench.css("--line"),
      zerolinecolor: bench.css("--muted"),
      linecolor: bench.css("--line"),
      automargin: true,
      fixedrange: true,
      ...extra,
    };
  }

  function draw(id, traces, xaxis, yaxis, extra = {}) {
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: bench.css("--ink") },
      margin: { l: 48, r: 12, t: 8, b: 40 },
      height: narrow.matches ? 340 : 380,
      hovermode: "closest",
      hoverlabel: { bgcolor: bench.css("--panel"), bordercolor: bench.css("--line"), font: { color: bench.css("--ink") } },
      legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top" },
      xaxis,
      yaxis,
      ...extra,
      ...(printing ? { width: PAPER, height: 250 } : { width: undefined, autosize: true }),
    };
    Plotly.react(byId(id), traces, layout, { displayModeBar: false, displaylogo: false, showSendToCloud: false, responsive: true });
    byId(id).setAttribute("role", "img");
  }

  function note(id, text) {
    fill(`${id}-caption`, text);
    byId(`${id}-plot`).setAttribute("aria-label", text);
  }

  function empty(id, text) {
    Plotly.purge(byId(`${id}-plot`));
    fill(`${id}-plot`);
    fill(`${id}-numbers`);
    note(id, text);
  }

  function cost() {
    const key = byId("cost-axis").value;
    const [label, unit] = COSTS[key];
    const points = group.costs.filter((point) => point[key] !== null);
    if (!points.length) return empty("cost", `No complete result with known ${label.toLowerCase()}.`);
    const values = points.map((point) => point[key]);
    const wide = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
    const front = points.filter((point) => group.fronts[key].includes(point.label)).sort((a, b) => a[key] - b[key]);
    const said = (point) => `<b>${escape(point.label)}</b><br>${number(point.mean)} dB ${interval(point.low, point.high)}<br>` +
      `${short(point[key])} ${unit}${key === "latency" ? timing(point) : ""}<br>${escape(point.source === "measured" ? "measured" : point.citation)}`;
    const timing = (point) => (point.latencyLow === null ? "" : `, quartiles ${short(point.latencyLow)} to ${short(point.latencyHigh)}`) +
      (point.latencyDoubt ? `<br>doubtful: ${escape(point.latencyDoubt)}` : "");
    const cloud = (some, name, marker, extra) => ({
      x: some.map((point) => point[key]),
      y: some.map((point) => point.mean),
      mode: "markers",
      name: escape(name),
      marker: { size: 11, ...marker },
      customdata: some.map(said),
      hovertemplate: "%{customdata}<extra></extra>",
      ...extra,
    });
    const traces = points.filter((point) => point.source === "measured").map((point) =>
      cloud([point], point.label, { color: bench.colour(look(point.label)), symbol: bench.symbol(look(point.label)) },
        { error_y: { ...bars([point]), color: bench.css("--muted") } }));
    const printed = points.filter((point) => point.source !== "measured");
    if (printed.length) traces.push(cloud(printed, "published", { color: bench.css("--muted"), symbol: "circle-open", size: 9 }));
    // Steps as in the printed figures: between two points nothing better than the cheaper one was measured.
    const last = Math.max(...values);
    traces.unshift({ x: [...front.map((point) => point[key]), last], y: [...front, front.at(-1)].map((point) => point?.mean),
      mode: "lines", hoverinfo: "skip", name: "Pareto front", line: { shape: "hv", width: 1.2, color: bench.css("--ink") } });
    draw("cost-plot", traces, axis(`${label}, ${unit}`, wide ? { type: "log" } : { rangemode: "tozero" }),
      axis("average PSNR, dB"));
    note("cost", `Average PSNR against ${label.toLowerCase()} (${unit}${wide ? ", logarithmic" : ""}). ` +
      (front.length
        ? `The steps of the front join those that no other equals or beats at the same cost or less: ` +
          `${front.map((point) => point.label).join(", ")}. `
        : "No front is drawn: too few of these costs can be trusted. ") +
      `${printed.length ? "Hollow points are printed in papers, as the numbers below cite. " : ""}${sentence(group.costNotes[key])}`);
    bench.numbers("cost-numbers", `Average PSNR and ${label.toLowerCase()}`,
      ["Restorer", "PSNR, dB", "95 % interval", `${label}, ${unit}`, "Source"],
      points.map((point) => [point.label, number(point.mean), interval(point.low, point.high), short(point[key]),
        point.source === "measured" ? "measured" : point.citation]));
  }

  function tasks() {
    const gain = byId("tasks-measure").value === "gain";
    const of = (cell) => (gain ? cell.gain : cell && { mean: cell.psnr, low: cell.low, high: cell.high });
    const traces = ranked().map((row) => {
      const index = look(row.label);
      const shown = group.tasks.filter((task) => row.tasks[task.key] && of(row.tasks[task.key])?.mean != null);
      const points = shown.map((task) => of(row.tasks[task.key]));
      return {
        type: "bar",
        name: escape(row.label),
        x: shown.map((task) => escape(task.label)),
        y: points.map((point) => point.mean),
        marker: { color: bench.colour(index) },
        error_y: { ...bars(points), color: bench.css("--ink") },
        customdata: points.map((point) => interval(point.low, point.high)),
        hovertemplate: `<b>${escape(row.label)}</b><br>%{x}: %{y:${gain ? "+" : ""}.2f} dB %{customdata}<extra></extra>`,
      };
    }).filter((trace) => trace.x.length);
    if (!traces.length) return empty("tasks", "No complete task yet.");
    draw("tasks-plot", traces,
      axis("", { type: "category", showgrid: false, categoryorder: "array", categoryarray: group.tasks.map((task) => escape(task.label)) }),
      axis(gain ? "gain over the input, dB" : "PSNR, dB"), { barmode: "group", bargap: 0.25, bargroupgap: 0.08 });
    note("tasks", gain
      ? "PSNR gained over the degraded input, mean over the images of a task; lines are 95 % intervals of that gain."
      : "Mean PSNR of each task; lines are 95 % intervals, by scene, photograph or sequence, which hold how much images differ, not only restorers.");
    bench.numbers("tasks-numbers", gain ? "Gain over the input, dB" : "PSNR, dB",
      ["Restorer", ...group.tasks.map((task) => task.label)],
      ranked().map((row) => [row.label, ...group.tasks.map((task) => {
        const point = row.tasks[task.key] && of(row.tasks[task.key]);
        return point?.mean == null ? bench.DASH
          : `${(gain ? signed : number)(point.mean)} ${interval(point.low, point.high)}`;
      })]));
  }

  function differences() {
    const [a, b] = ["difference-a", "difference-b"].map((id) => group.rows[Number(byId(id).value)]);
    const task = group.tasks.find(({ key }) => key === byId("difference-task").value);
    const [first, second] = [a, b].map((row) => row?.tasks[task?.key]?.images);
    if (!first || !second || a === b) return empty("differences", "Choose two different restorers that have this task.");
    const names = group.images[task.key];
    const shared = names.map((image, i) => ({ image, a: first[i], b: second[i], difference: first[i] - second[i] }))
      .filter((row) => row.a !== null && row.b !== null).sort((x, y) => y.difference - x.difference);
    const better = shared.filter((row) => row.difference > 0).length;
    const [up, down] = [a, b].map((row) => bench.colour(look(row.label)));
    draw("differences-plot", [{
      type: "bar",
      x: shared.map((_, i) => i + 1),
      y: shared.map((row) => row.difference),
      marker: { color: shared.map((row) => (row.difference > 0 ? up : down)) },
      customdata: shared.map((row) => [escape(row.image), number(row.a), number(row.b)]),
      hovertemplate: `<b>%{customdata[0]}</b><br>%{y:+.2f} dB<br>${escape(a.label)} %{customdata[1]}<br>` +
        `${escape(b.label)} %{customdata[2]}<extra></extra>`,
    }], axis("images, by difference", { showticklabels: false, showgrid: false }), axis("difference in PSNR, dB"),
    { bargap: 0.15, showlegend: false, height: 280 });
    const pair = difference(task.key, group.rows.indexOf(a), group.rows.indexOf(b));
    note("differences", `${task.label}: ${a.label} minus ${b.label} on each image. ${a.label} is better on ${better} of ` +
      `${shared.length} images${group.clusters[task.key] < shared.length
        ? ` (of ${group.clusters[task.key]} scenes, photographs or sequences)` : ""}; mean paired difference ${signed(pair.mean)} dB ` +
      `${interval(pair.low, pair.high)} (95 % interval, not corrected for choosing this pair).`);
    bench.numbers("differences-numbers", `${task.label}: PSNR of each image, dB`, ["Image", a.label, b.label, "Difference"],
      shared.map((row) => [row.image, number(row.a), number(row.b), signed(row.difference)]));
  }

  /** The stored comparison of two rows, turned round where it was made the other way. */
  function difference(key, a, b) {
    const pair = group.differences[key][`${Math.min(a, b)}-${Math.max(a, b)}`];
    return a < b ? pair : { ...pair, mean: -pair.mean, low: pair.high === null ? null : -pair.high,
      high: pair.low === null ? null : -pair.low };
  }

  /** Rows with scores of a task's images, the input left out. */
  const having = (key) => ranked().filter((row) => row.tasks[key]?.images.some((value) => value !== null));

  /** Offer those restorers that have the task; of the chosen ones keep those, else take the best by `order`. */
  function pair(order = null) {
    const rows = having(byId("difference-task").value);
    const place = (row) => (group.order.includes(row.label) ? group.order.indexOf(row.label) : group.order.length);
    const best = [...rows].sort((x, y) => place(x) - place(y)).map((row) => String(group.rows.indexOf(row)));
    const choices = rows.map((row) => [String(group.rows.indexOf(row)), row.label]);
    const kept = (id, index) => {
      const now = byId(`difference-${id}`).value;
      return order === null && best.includes(now) ? now : best[index];
    };
    const [a, b] = [kept("a", 0), kept("b", 1)];
    options("difference-a", choices, a);
    options("difference-b", choices, a === b ? best.find((one) => one !== a) : b);
  }

  function redraw() {
    if (!group) return;
    if (!byId("cost").hidden) cost();
    tasks();
    if (!byId("differences").hidden) differences();
  }

  /** Charts drawn anew at the width of the paper, in light colours, and back. */
  function paper(on) {
    document.documentElement.classList.toggle("printing", on);
    if (!group || printing === on) return;
    printing = on;
    redraw();
  }
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
  window.matchMedia("print").addEventListener("change", (event) => paper(event.matches));

  function show(shown) {
    group = shown;
    const known = Object.entries(COSTS).filter(([key]) => group.costs.some((point) => point[key] !== null));
    options("cost-axis", known.map(([key, [label, unit]]) => [key, `${label} (${unit})`])).onchange = cost;
    byId("tasks-measure").onchange = tasks;
    const several = group.tasks.filter(({ key }) => having(key).length > 1);
    options("difference-task", several.map(({ key, label }) => [key, label]), several[0]?.key).onchange = () => {
      pair();
      differences();
    };
    for (const id of ["a", "b"]) byId(`difference-${id}`).onchange = differences;
    pair(group.order);
    byId("cost").hidden = !known.length; // nothing empty is shown
    byId("differences").hidden = !several.length;
    redraw();
  }

  bench.dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  return { show };
})();
