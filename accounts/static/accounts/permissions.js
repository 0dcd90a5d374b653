// The editor of a permission model: numbers its lines, asks what is wrong while it is written, shows it at its line.
(() => {
  "use strict";
  const LINE = 20, TOP = 10, PAUSE = 400;

  function begin(editor) {
    const text = editor.querySelector("textarea"), numbers = editor.querySelector(".ch-editor__numbers");
    const notes = editor.querySelector(".ch-editor__notes"), list = editor.querySelector(".ch-editor__faults");
    const ruler = document.createElement("canvas").getContext("2d");
    let faults = [...list.querySelectorAll("li")].map((line) => ({
      line: Number(line.dataset.line), column: Number(line.dataset.column), end: Number(line.dataset.end),
      message: line.childNodes[1].textContent.trim(), type: line.querySelector("code").textContent,
    }));
    let waiting = 0, asked = 0, isLeaving = false;

    function number() {
      const count = text.value.split("\n").length;
      numbers.textContent = Array.from({ length: count }, (_, index) => index + 1).join("\n");
    }

    function place() {
      numbers.scrollTop = text.scrollTop;
      ruler.font = getComputedStyle(text).font;
      const width = ruler.measureText("0").width;
      const first = new Map();  // one note stands on a line
      faults.filter((fault) => fault.line).forEach((fault) => first.set(fault.line, [...(first.get(fault.line) ?? []), fault]));
      notes.replaceChildren(...[...first.values()].map(([fault, ...others]) => {
        const note = document.createElement("div"), words = document.createElement("span"), mark = document.createElement("i");
        note.className = "ch-editor__note";
        note.style.top = `${TOP + (fault.line - 1) * LINE - text.scrollTop}px`;
        words.textContent = words.title = fault.message + (others.length ? ` (and ${others.length} more)` : "");
        mark.style.left = `${64 + (fault.column - 1) * width - text.scrollLeft}px`;
        mark.style.width = `${Math.max(fault.end - fault.column, 1) * width}px`;
        note.append(mark, words);
        return note;
      }));
    }

    function tell() {
      list.replaceChildren(...(faults.length ? faults : [null]).map((fault) => {
        const line = document.createElement("li"), where = document.createElement("b"), kind = document.createElement("code");
        if (fault === null) {
          line.className = "ch-editor__fine";
          line.textContent = "No fault.";
          return line;
        }
        where.textContent = fault.line ? `Line ${fault.line}, column ${fault.column}` : "In the whole";
        kind.textContent = fault.type;
        line.append(where, ` ${fault.message} `, kind);
        if (!fault.line) return line;
        line.tabIndex = 0;
        line.addEventListener("click", () => go(fault));
        line.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); go(fault); } });
        return line;
      }));
      place();
    }

    function go(fault) {
      if (!fault.line) return;
      const before = text.value.split("\n").slice(0, fault.line - 1).join("\n").length + (fault.line > 1 ? 1 : 0);
      text.focus();
      text.setSelectionRange(before + fault.column - 1, before + fault.end - 1);
      text.scrollTop = (fault.line - 6) * LINE;
    }

    async function ask() {
      const mine = ++asked, body = new FormData();
      body.append("text", text.value);
      body.append("csrfmiddlewaretoken", text.form.querySelector("[name=csrfmiddlewaretoken]").value);
      try {
        const answer = await fetch(editor.dataset.validate, { method: "POST", body });
        if (!answer.ok || mine !== asked) return;
        faults = (await answer.json()).faults.map((fault) => ({ ...fault, end: fault.end_column }));
        tell();
      } catch { /* the server says it when the form is sent */ }
    }

    text.addEventListener("input", () => {
      number();
      clearTimeout(waiting);
      waiting = setTimeout(ask, PAUSE);
    });
    text.addEventListener("scroll", place);
    text.addEventListener("keydown", (event) => {
      const leaves = isLeaving;
      isLeaving = event.key === "Escape";
      if (leaves || event.key !== "Tab" || event.shiftKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input"));
    });
    window.addEventListener("pageshow", () => {  // the browser brings back what was written before
      if (text.value !== text.defaultValue) text.dispatchEvent(new Event("input"));
    });
    number();
    if (faults.length) tell(); else place();
  }

  const all = () => document.querySelectorAll(".ch-editor").forEach(begin);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all); else all();
})();
