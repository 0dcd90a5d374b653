/* What Countinghouse adds to the admin: copy buttons, forms that are sent once, charts, and the box that finds anything. */
(() => {
  "use strict";

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    await navigator.clipboard.writeText(button.dataset.copy);
    const shown = button.textContent;
    button.textContent = "check";
    button.classList.add("ch-copy--done");
    setTimeout(() => { button.textContent = shown; button.classList.remove("ch-copy--done"); }, 1200);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form) return;
    if (form.dataset.isSent) event.preventDefault();
    form.dataset.isSent = "yes";
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach((form) => delete form.dataset.isSent));

  /* Charts: <canvas data-chart='{"type", "labels", "series": [{"label", "values", "color"}], "unit"}'> */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = (value, unit, short) => {
    const options = unit ? { style: "currency", currency: unit } : {};
    if (short) Object.assign(options, { notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: 0 });
    return new Intl.NumberFormat("en-US", options).format(value);
  };
  function draw(canvas) {
    const chart = JSON.parse(canvas.dataset.chart);
    const line = chart.type === "line";
    const datasets = chart.series.map((one) => {
      const ink = colour(one.color);
      return {
        label: one.label, data: one.values, borderColor: ink, borderWidth: line ? 2.5 : 0, cubicInterpolationMode: "monotone", pointRadius: 0, pointHoverRadius: 5,
        pointHoverBackgroundColor: ink, fill: line && chart.series.length === 1, borderRadius: 3, maxBarThickness: 22, stack: chart.is_stacked ? "all" : undefined,
        backgroundColor: line ? (context) => {
          const area = context.chart.chartArea;
          if (!area) return "transparent";
          const shade = context.chart.ctx.createLinearGradient(0, area.top, 0, area.bottom);
          shade.addColorStop(0, `color-mix(in srgb, ${ink} 22%, transparent)`);
          shade.addColorStop(1, `color-mix(in srgb, ${ink} 0%, transparent)`);
          return shade;
        } : ink,
      };
    });
    const faint = colour("--ch-faint");
    const whole = (value) => chart.unit || Number.isInteger(value) ? number(value, chart.unit, true) : "";
    canvas.drawn?.destroy();
    canvas.drawn = new Chart(canvas, {
      type: chart.type,
      data: { labels: chart.labels, datasets },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: false }, tooltip: { padding: 10, boxPadding: 4, usePointStyle: true, callbacks: { label: (item) => ` ${item.dataset.label}: ${number(item.parsed.y, chart.unit)}` } } },
        scales: {
          x: { stacked: chart.is_stacked, grid: { display: false }, border: { color: colour("--ch-line") }, ticks: { color: faint, maxRotation: 0, autoSkipPadding: 14 } },
          y: { stacked: chart.is_stacked, beginAtZero: true, grid: { color: colour("--ch-line") }, border: { display: false }, ticks: { color: faint, maxTicksLimit: 6, padding: 8, callback: whole } },
        },
      },
    });
  }
  const drawAll = () => { if (window.Chart) { Chart.defaults.font.family = "Inter"; document.querySelectorAll("canvas[data-chart]").forEach(draw); } };

  /* The box that finds anything */
  let box, field, list, asked = 0, wait, chosen = -1, answer = null;
  const entries = () => [...list.querySelectorAll(".ch-palette__one")];
  function choose(index) {
    const all = entries();
    if (!all.length) { chosen = -1; return; }
    chosen = (index + all.length) % all.length;
    all.forEach((one, at) => one.setAttribute("aria-selected", at === chosen ? "true" : "false"));
    all[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", all[chosen].id);
  }
  const made = (tag, name, text) => { const node = document.createElement(tag); if (name) node.className = name; if (text !== undefined) node.textContent = text; return node; };
  function show(found, term) {
    answer = found;
    list.replaceChildren();
    let at = 0;
    for (const group of found.groups) {
      list.append(made("p", "ch-palette__kind", group.kind));
      for (const item of group.items) {
        const one = made("a", "ch-palette__one");
        one.href = item.url; one.id = `ch-found-${at++}`; one.setAttribute("role", "option");
        const text = made("span", "ch-palette__text");
        text.append(made("b", "", item.title), made("small", "", item.subtitle));
        one.append(made("span", "material-symbols-outlined", group.icon), text);
        if (item.state) one.append(made("span", `ch-state ch-state--${item.tone || "neutral"}`, item.state));
        list.append(one);
      }
    }
    if (!at && term.length > 1) list.append(made("p", "ch-palette__note", `Nothing found for “${term}”. Try the beginning of a name or an e-mail address, an invoice number, or a whole id.`));
    if (!at && term.length < 2) list.append(made("p", "ch-palette__note", "Type a name, an e-mail address, an invoice number, or paste any id."));
    if (!found.is_complete) list.append(made("p", "ch-palette__note", "There was no time to look everywhere; a longer term finds more."));
    choose(0);
  }
  async function ask(term, goes) {
    const turn = ++asked;
    if (term.trim().length < 2) { show({ groups: [], is_complete: true }, term.trim()); return; }
    const reply = await fetch(`${box.dataset.url}?q=${encodeURIComponent(term)}`, { headers: { Accept: "application/json" } });
    if (turn !== asked || !reply.ok) return;
    const found = await reply.json();
    if (found.go && goes) { window.location.assign(found.go); return; }
    show(found, term.trim());
  }
  function open() {
    if (!box || box.open) return;
    box.showModal();
    field.select();
    if (!answer) show({ groups: [], is_complete: true }, "");
  }
  function start() {
    drawAll();
    box = document.getElementById("ch-palette");
    if (!box) return;
    field = box.querySelector("input");
    list = box.querySelector(".ch-palette__list");
    field.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => ask(field.value, false), 120); });
    field.addEventListener("paste", () => setTimeout(() => { clearTimeout(wait); ask(field.value, true); }, 0));
    field.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
      else if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen - 1); }
      else if (event.key === "Enter") { event.preventDefault(); const one = entries()[chosen]; if (one) one.click(); else ask(field.value, true); }
    });
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    document.addEventListener("click", (event) => { if (event.target.closest("[data-find]")) open(); });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey)) { event.preventDefault(); open(); }
    else if (event.key === "/" && !typing && !document.getElementById("searchbar")) { event.preventDefault(); open(); }
  });
  // What is under way (an export) is shown anew every two seconds, until nothing on the page is.
  const LIVE = ["#result_list", ".ch-head", ".ch-figures", ".ch-columns__main"];
  async function refresh() {
    if (!document.querySelector("[data-live]")) return;
    try {
      const reply = await fetch(location.href, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      if (reply.ok && !reply.redirected) {
        const text = (await reply.text()).replace(/<style[^]*?<\/style>/g, ""); // their nonce is that reply's
        const page = new DOMParser().parseFromString(text, "text/html");
        for (const name of LIVE) {
          const old = document.querySelector(name), now = page.querySelector(name);
          if (old && now && old.innerHTML !== now.innerHTML) old.replaceWith(document.importNode(now, true));
        }
      }
    } catch { /* the next round tries again */ }
    setTimeout(refresh, 2000);
  }
  document.addEventListener("DOMContentLoaded", () => {
    start();
    setTimeout(refresh, 1000);
    new MutationObserver(drawAll).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  });
})();
