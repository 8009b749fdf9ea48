// Which group is shown: two selects and the address's hash, which keeps the choice in bookmarks.
"use strict";

(() => {
  const { data, el, fill, options } = bench;
  const place = (group) => `${group.suite} on ${group.datasets}`;
  const PREFIX = "#show=";

  function summary(group) {
    document.getElementById("headline").textContent = group.headline;
    const answer = (lines) => (typeof lines === "string" ? lines : el("table", {}, el("tbody", {}, ...lines.map(([of, text]) =>
      el("tr", {}, el("th", { scope: "row", text: of }), el("td", { text }))))));
    fill("facts", ...group.facts.map(([term, lines]) =>
      el("div", { class: typeof lines === "string" ? null : "wide" }, el("dt", { text: term }), el("dd", {}, answer(lines)))));
  }

  function show(group) {
    options("suite", [...new Set(data.groups.map(place))].map((name) => [name, name]), place(group));
    options("protocol", data.groups.filter((other) => place(other) === place(group))
      .map((other) => [other.id, other.protocolLabel]), group.id);
    document.title = `${group.title}: image restoration benchmark`;
    const banner = document.getElementById("banner");
    banner.textContent = group.banner;
    banner.hidden = !group.banner;
    summary(group);
    bench.table.show(group);
    bench.figures.show(group);
    bench.images.show(group);
  }

  function go(group) {
    history.replaceState(null, "", PREFIX + encodeURIComponent(group.id));
    show(group);
  }

  // Links within the page move the focus and leave the hash, which holds the choice, alone.
  document.querySelectorAll('nav a[href^="#"], a.skip').forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    const target = document.querySelector(link.getAttribute("href"));
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  }));

  const wanted = () => {
    if (!location.hash.startsWith(PREFIX)) return null;
    return data.groups.find((group) => group.id === decodeURIComponent(location.hash.slice(PREFIX.length))) ?? null;
  };

  function theme() {
    document.documentElement.classList.toggle("dark", bench.dark.matches); // what DataTables' style sheet looks at
  }
  theme();
  bench.dark.addEventListener("change", theme);

  if (!data.groups.length) {
    document.getElementById("headline").textContent = "No finished results yet";
    for (const id of ["switch", "leaderboard", "figures", "images"]) document.getElementById(id).hidden = true;
    return;
  }
  const suite = document.getElementById("suite");
  const protocol = document.getElementById("protocol");
  suite.addEventListener("change", () => {
    const choices = data.groups.filter((group) => place(group) === suite.value);
    const label = protocol.selectedOptions[0]?.textContent;
    go(choices.find((group) => group.protocolLabel === label) ?? choices[0]);
  });
  protocol.addEventListener("change", () => go(data.groups.find((group) => group.id === protocol.value)));
  window.addEventListener("hashchange", () => wanted() && show(wanted()));
  show(wanted() ?? data.groups[0]);
})();
