/* The question box of the admin: asks, shows the words as they come, then the checked answer with its sources. */
(() => {
  "use strict";
  const made = (tag, name, text) => { const node = document.createElement(tag); if (name) node.className = name; if (text !== undefined) node.textContent = text; return node; };
  const icon = (name) => made("span", "material-symbols-outlined", name);
  let form, field, card, turn = 0, open = null;

  async function send(url, body) {
    const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
    const reply = await fetch(url, body === undefined ? { headers: { Accept: "application/json" } } : { method: "POST", headers: { "X-CSRFToken": token, Accept: "application/json" }, body: new URLSearchParams(body) });
    const told = await reply.json().catch(() => ({ code: "internal_error", detail: "The server answered in an unknown shape." }));
    if (!reply.ok) throw Object.assign(new Error(told.detail || "Something went wrong."), told);
    return told;
  }

  function begin(question) {
    card.hidden = false;
    card.replaceChildren(made("p", "ch-answer__question", question));
    const text = made("div", "ch-answer__text"), wait = made("p", "ch-answer__wait");
    wait.setAttribute("role", "status");
    wait.append(made("span", "ch-spinner"), made("span", "", "Looking for an answer …"));
    card.append(text, wait);
    return text;
  }

  function fail(question, fault) {
    card.hidden = false;
    const box = made("div", "ch-refusal"), words = made("div", "", fault.message || fault.detail);
    box.setAttribute("role", "alert");
    if (fault.provider_message) words.append(made("p", "ch-refusal__note", `The provider says: ${fault.provider_message}`));
    if (fault.code) words.append(made("p", "ch-refusal__note", fault.code));
    box.append(icon("error"), words);
    const again = made("button", "ch-button", "Ask again");
    again.type = "button";
    again.addEventListener("click", () => ask(question));
    card.replaceChildren(made("p", "ch-answer__question", question), box, again);
  }

  /* Lines that are set in by four blanks are code; [2] in the text leads to the second source. */
  function marked(text) {
    const node = made("div", "ch-answer__text");
    for (const part of text.split(/((?:^|\n+)(?: {4}[^\n]*(?:\n+|$))+)/)) {
      if (/^\n* {4}/.test(part)) node.append(made("pre", "", part.replace(/^\n+|\s+$/g, "").replace(/^ {4}/gm, "")));
      else linked(node, part);
    }
    return node;
  }

  function linked(node, text) {
    for (const part of text.split(/(\[\d+(?:, \d+)*\])/)) {
      const numbers = /^\[([\d, ]+)\]$/.exec(part);
      if (!numbers) { node.append(part); continue; }
      numbers[1].split(", ").forEach((number, at) => {
        const link = made("a", "", `[${number}]`);
        link.href = `#ch-source-${number}`;
        node.append(at ? " " : "", link);
      });
    }
  }

  function source(citation) {
    const row = made("li"), text = made("div");
    const title = citation.link ? made("a", "ch-link", citation.title) : made("span", "", citation.title);
    if (citation.link) title.href = citation.link;
    text.append(title, made("q", "", citation.quote), made("small", "", `${citation.type.replaceAll("_", " ")}, version ${citation.version}`));
    row.append(made("span", "ch-sources__number", citation.number), text);
    return row;
  }

  function foot(found) {
    const line = made("div", "ch-answer__foot");
    const facts = [`${found.provider} (${found.model})`, `${(found.latency_ms / 1000).toFixed(1)} s`];
    if (found.tokens) facts.push(`${found.tokens} tokens`);
    if (found.cost) facts.push(found.cost);
    line.append(made("span", "", facts.join(" · ")));
    for (const [value, name, words] of [["helpful", "thumb_up", "Helpful"], ["not_helpful", "thumb_down", "Not helpful"]]) {
      const button = made("button", "ch-button");
      button.type = "button";
      button.setAttribute("aria-pressed", found.feedback === value ? "true" : "false");
      button.append(icon(name), words);
      button.addEventListener("click", async () => { show(await send(address(found.id, "feedback/"), { feedback: value })); });
      line.append(button);
    }
    return line;
  }

  function show(found) {
    if (found.status === "failed") { fail(found.question, { message: "This question was not answered.", code: found.failure_code }); return; }
    if (found.status !== "answered") { fail(found.question, { message: "The answer is not known yet.", code: found.status }); return; }
    card.hidden = false;
    card.replaceChildren(made("p", "ch-answer__question", found.question), marked(found.answer));
    if (found.citations.length) {
      const list = made("ol", "ch-sources"), numbers = new Set();
      for (const citation of found.citations) {
        const row = source(citation);
        if (!numbers.has(citation.number)) row.id = `ch-source-${citation.number}`;
        numbers.add(citation.number);
        list.append(row);
      }
      card.append(list);
    }
    card.append(foot(found));
  }

  const address = (id, rest = "") => new URL(`${encodeURIComponent(id)}/${rest}`, new URL("../", new URL(form.action))).toString();

  /* Resolves when the stream is done; rejects with what it told, or with nothing when it could not be opened. */
  function listen(url, hear) {
    return new Promise((resolve, reject) => {
      const stream = open = new EventSource(url);
      let words = 0;
      stream.addEventListener("delta", (event) => { words += 1; hear(JSON.parse(event.data).text); });
      stream.addEventListener("done", () => { stream.close(); resolve(); });
      stream.addEventListener("error", (event) => {
        stream.close();
        if (event.data) { const told = JSON.parse(event.data); reject(Object.assign(new Error(told.detail), told)); }
        else reject(words ? new Error("The stream broke off. The answer will stand under what you asked.") : null);
      });
    });
  }

  async function ask(question) {
    const mine = ++turn, button = form.querySelector("button");
    open?.close();
    button.disabled = true;
    const text = begin(question);
    try {
      const asked = await send(form.action, { question });
      remember(question, asked.id);
      let found;
      if (asked.stream) {
        try {
          await listen(asked.stream, (words) => { if (mine === turn) text.append(words); });
          found = await send(address(asked.id));
        } catch (fault) {
          if (fault) throw fault;
        }
      }
      found ??= await send(address(asked.id, "answer/"), {});
      if (mine === turn) show(found);
    } catch (fault) {
      if (mine === turn) fail(question, fault);
    } finally {
      if (mine === turn) button.disabled = false;
    }
  }

  function remember(question, id) {
    const list = document.getElementById("ch-asked-before"), row = made("li"), button = made("button", "ch-link", question);
    button.type = "button";
    button.dataset.shown = address(id);
    row.append(button);
    list.querySelector(".ch-empty-line")?.remove();
    list.prepend(row);
  }

  document.addEventListener("DOMContentLoaded", () => {
    form = document.getElementById("ch-ask");
    field = form.querySelector("textarea");
    card = document.getElementById("ch-answer");
    form.addEventListener("submit", (event) => { event.preventDefault(); const question = field.value.trim(); if (question) ask(question); });
    field.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); } });
    document.addEventListener("click", async (event) => {
      const example = event.target.closest("[data-example]"), before = event.target.closest("[data-shown]");
      if (example) { field.value = example.textContent; form.requestSubmit(); }
      if (before) { turn += 1; open?.close(); form.querySelector("button").disabled = false; try { show(await send(before.dataset.shown)); } catch (fault) { fail(before.textContent, fault); } }
    });
    // Only a page of ours may ask by its link; a reload asks nothing again.
    const goes = "go" in form.dataset && document.referrer.startsWith(`${location.origin}/admin/`);
    history.replaceState(null, "", location.pathname);
    if (goes) form.requestSubmit(); else field.focus();
  });
})();
