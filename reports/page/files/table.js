// The leaderboard of one group: a sortable and filterable table, its legend and the reasons of incomplete rows.
"use strict";

bench.table = (() => {
  const { el, fill, number, signed, short, interval } = bench;
  const { sign: TIE, words: WORDS } = bench.data.marks; // as in the tables for papers
  const SPOKEN = { best: "best", tied: "one of the best, not told apart", second: "second" };
  let table = null;

  // Missing values stand last whichever way a column is sorted.
  const missing = (a, b, order) => (isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : order);
  DataTable.type("measure", {
    order: { pre: (value) => parseFloat(value), asc: (a, b) => missing(a, b, a - b), desc: (a, b) => missing(a, b, b - a) },
    className: "measure",
  });

  function marked(text, mark) {
    if (!mark) return [el("span", { class: "value", text })];
    return [ // columns end at the right: what stands before a number moves no digit
      mark === "tied" ? el("span", { class: "sign", "aria-hidden": "true", text: TIE }) : null,
      el("span", { class: `value ${mark}`, text }),
      el("span", { class: "unseen", text: `, ${SPOKEN[mark]}` }),
    ].filter(Boolean);
  }

  function score(cell, digits = 2) {
    if (!cell) return el("td", { "data-order": "", text: bench.DASH });
    if (cell.psnr === null) {
      return el("td", { "data-order": "", class: "incomplete" }, el("span", { text: "incomplete" }));
    }
    return el(
      "td",
      { "data-order": cell.psnr },
      ...marked(number(cell.psnr, digits), cell.mark),
      el("span", { class: "interval", text: interval(cell.low, cell.high, digits) || "one image" }),
    );
  }

  function plain(value, text, second = null) {
    return el("td", { "data-order": value ?? "" }, el("span", { class: "value", text }),
      second ? el("span", { class: "interval", text: second }) : null);
  }

  function columns(group) {
    const several = new Set(group.tasks.map((task) => task.dataset)).size > 1;
    const average = group.tasks.length > 1;
    const tasks = group.tasks.map((task) => ({
      head: task.head,
      unit: several ? task.dataset : "PSNR, dB",
      cell: (row) => score(row.tasks[task.key]),
      best: "desc",
    }));
    return [
      { head: "Restorer", unit: "", cell: name, kind: "string", best: "asc" },
      ...(average ? [{ head: "Average", unit: "PSNR, dB", cell: (row) => score(row.average), best: "desc" }] : []),
      { head: "Gain", unit: "over input, dB", cell: (row) => plain(row.gain, row.isInput ? bench.DASH : signed(row.gain)),
        best: "desc" },
      ...tasks,
      { head: "SSIM", unit: average ? "average" : "", cell: (row) => plain(row.ssim, number(row.ssim, 4)), best: "desc" },
      ...(group.rows.some((row) => row.lpips !== null)
        ? [{ head: "LPIPS", unit: average ? "average" : "", cell: (row) => plain(row.lpips, number(row.lpips, 4)), best: "asc" }]
        : []),
      { head: "Params", unit: "M", cell: (row) => plain(row.params, short(row.params)), best: "asc" },
      { head: "MACs", unit: "G, no FFT", cell: (row) => plain(row.macs, short(row.macs)), best: "asc" },
      { head: "Latency", unit: "ms", cell: (row) => plain(row.latency, doubtful(row)), best: "asc" },
      { head: "Memory", unit: "MiB", cell: (row) => plain(row.memory, short(row.memory)), best: "asc" },
      // What the select above the table filters by; it stands below each name, where it is seen at any width.
      { head: "Weights", unit: "", cell: (row) => el("td", { text: row.provenance }), kind: "string", best: "asc", hidden: true },
    ];
  }

  /** A latency, with a mark where a busy machine makes it doubtful. */
  function doubtful(row) {
    return row.latencyDoubt ? `${short(row.latency)}?` : short(row.latency);
  }

  function name(row) {
    return el(
      "th",
      { scope: "row", "data-order": row.label, "data-search": `${row.label} ${row.provenance} ${row.device} ${row.dtype}` },
      el("button", { type: "button", class: "name", "aria-haspopup": "dialog", onclick: () => bench.record.open(row),
        text: row.label }),
      el("span", { class: "interval", text: row.isInput ? "not ranked" : `${row.provenance}, ${row.dtype}, ${row.device}` }),
    );
  }

  function show(group) {
    if (table) table.destroy();
    const shown = columns(group);
    const node = el(
      "table",
      { id: "board", class: "board" },
      el("caption", { class: "unseen", text: `${group.title}: mean PSNR of every restorer with its 95 % interval, and what it costs` }),
      el("thead", {}, el("tr", {}, ...shown.map((column) =>
        el("th", { scope: "col" }, el("span", { class: "head", text: column.head }), " ",
          el("span", { class: "unit", text: column.unit }))))),
      el("tbody", {}, ...group.rows.map((row) =>
        el("tr", { class: row.isInput ? "input" : row.complete ? null : "partial" },
          ...shown.map((column) => column.cell(row))))),
    );
    fill("table", node);
    table = new DataTable(node, {
      paging: false,
      autoWidth: false,
      order: [[1, "desc"]],
      layout: { topStart: null, topEnd: null, bottomStart: "info", bottomEnd: null },
      language: {
        info: "_TOTAL_ rows", infoFiltered: "of _MAX_", infoEmpty: "0 rows", zeroRecords: "No restorer matches the filter.",
      },
      columnDefs: shown.map((column, index) => ({
        targets: index,
        type: column.kind ?? "measure",
        visible: !column.hidden,
        orderSequence: column.best === "desc" ? ["desc", "asc"] : ["asc", "desc"],
      })),
    });
    const scroller = node.parentElement;
    scroller.classList.add("scroller");
    for (const [key, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", "Leaderboard table, scrolls sideways"]]) {
      scroller.setAttribute(key, value);
    }
    const download = document.getElementById("download");
    download.href = `data:text/csv;charset=utf-8,${encodeURIComponent(group.csv)}`;
    download.download = `${group.id}.csv`;
    legend(group);
    filters(group, shown.length - 1);
  }

  function legend(group) {
    const used = new Set(group.rows.flatMap((row) =>
      [row.average, ...Object.values(row.tasks)].map((cell) => cell?.mark).filter(Boolean)));
    fill("legend", ...Object.entries(WORDS).filter(([mark]) => used.has(mark)).map(([mark, text]) =>
      el("li", {}, ...marked("12.34", mark).filter((node) => !node.matches(".unseen")), ` ${text}`)));
    fill("reasons", ...group.rows.flatMap((row) => row.reasons.map((reason) =>
      el("li", {}, el("strong", { text: row.label }), `: ${reason}`))));
  }

  function filters(group, last) {
    const filter = document.getElementById("filter");
    const kinds = [...new Set(group.rows.map((row) => row.provenance))].sort();
    const provenance = bench.options("provenance", [["", "all"], ...kinds.map((kind) => [kind, kind])], "");
    filter.value = "";
    filter.oninput = () => table.search(filter.value).draw();
    provenance.onchange = () =>
      table.column(last).search(provenance.value ? `^${provenance.value}$` : "", { regex: true, smart: false }).draw();
  }

  return { show };
})();
