// A row's record: what was run, with which weights and versions, and the command that repeats it.
"use strict";

bench.record = (() => {
  const { el, fill, number, short } = bench;
  const dialog = document.getElementById("record");

  const pairs = (entries) =>
    el("dl", { class: "pairs" }, ...entries.filter(([, value]) => value !== null && value !== undefined && value !== "")
      .flatMap(([term, value]) => [el("dt", { text: term }), el("dd", {}, value)]));

  function command(text) {
    const said = el("span", { class: "said", role: "status" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(shown);
        said.textContent = "selected: press Ctrl+C";
      }
    };
    const shown = el("code", { text });
    return el("div", { class: "command" }, el("pre", { tabindex: "0", "aria-label": "Command" }, shown),
      el("button", { type: "button", onclick: copy, text: "Copy" }), said);
  }

  function cells(row) {
    const head = ["Task", "Images", "PSNR", "SSIM", "LPIPS", "Files", "Cell", "Finished", "Seconds", "Latency, ms",
      "Memory, MiB"];
    return el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Cells of this row" },
      el("table", { class: "numbers" },
        el("caption", { class: "unseen", text: "The cells of this row, one a task" }),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text })))),
        el("tbody", {}, ...row.cells.map((cell) => el("tr", {},
          el("th", { scope: "row", text: cell.task }),
          el("td", { text: `${cell.scored} of ${cell.expected}` }),
          el("td", { text: number(cell.psnr) }),
          el("td", { text: number(cell.ssim, 4) }),
          el("td", { text: number(cell.lpips, 4) }),
          el("td", {}, el("a", { href: cell.record, text: "record.json" }), " ", el("a", { href: cell.images, text: "images.csv" })),
          el("td", {}, el("code", { text: cell.id })),
          el("td", { text: cell.finished }),
          el("td", { text: short(cell.seconds) }),
          el("td", { text: short(cell.cost?.latency_ms) + (cell.cost?.doubtful ? "?" : "") }),
          el("td", { text: short(cell.cost?.peak_mib) }))))));
  }

  const block = (title, value, open = false) =>
    el("details", { open }, el("summary", { text: title }),
      el("pre", { tabindex: "0", "aria-label": title, text: JSON.stringify(value, null, 2) }));

  const measured = (cost) => (cost ? `median of ${cost.passes ?? "?"} passes over ${(cost.size ?? ["?"]).join("×")}, batch ` +
    `${cost.batch ?? "?"}, ${cost.threads ?? "?"} threads; memory: ${cost.peak_how ?? "not measured"}${cost.doubtful ? `; latency doubtful: ${cost.doubtful}` : ""}` : null);

  function open(row) {
    document.getElementById("record-title").textContent = row.label;
    const failures = row.cells.flatMap((cell) => cell.failures.map(([image, reason]) => `${cell.task}, ${image}: ${reason}`));
    fill(
      "record-body",
      row.reasons.length || failures.length ? el("div", { class: "notice" }, el("p", { text: "Incomplete." }),
        el("ul", {}, ...[...row.reasons, ...failures].map((text) => el("li", { text })))) : null,
      el("h3", { text: row.commands.length > 1 ? "Commands that repeat it" : "Command that repeats it" }),
      ...row.commands.map(command),
      el("h3", { text: "Cells, one a task" }),
      cells(row),
      el("h3", { text: "What was run" }),
      pairs([
        ["Restorer", `${row.model}, variant ${row.variant}`],
        ["Weights", row.weights],
        ["Training", row.training],
        ["sha256 of the weights", row.weightsHash ? el("code", { class: "hash", text: row.weightsHash }) : null],
        ["Numerics", `${row.dtype} on ${row.device}`],
        ["Latency, memory", measured(row.cells.find((cell) => cell.cost)?.cost)],
        ["Counted", row.statement],
      ]),
      el("h3", { text: "Hashes, configuration, versions" }),
      ...row.cells.flatMap((cell) => [block(`Identity of ${cell.task}: what its cell's id hashes`, cell.identity),
        block(`Data of ${cell.task}`, cell.data)]),
      ...row.configurations.map(({ tasks, value }) => block(`Configuration of ${tasks}`, value)),
      ...row.environments.map(({ tasks, value }) => block(`Versions and machine of ${tasks}`, value)),
    );
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  return { open };
})();
