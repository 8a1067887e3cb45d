// The report's behaviour: theme, table sorting, item browser. Model text enters the page as text nodes only: this file
// never assigns HTML. Data blocks are deflated JSON in base64, opened when they are needed.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const OUTCOMES = { r: "right", w: "wrong", u: "unparsed", t: "truncated", x: "unscored" };
  const SHAPES = { r: "\u25cf", w: "\u25cb", u: "\u2715", t: "\u2026", x: "?", "-": "\u00b7" };
  const PAGE = 60;          // items listed at once
  const MOST_CELLS = 400000; // of the difference's table: above, only common ends are aligned

  // ---- elements ------------------------------------------------------------------------------------------
  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    for (const child of children) made.append(child);
    return made;
  }

  // Control, bidirectional and zero-width characters would hide or reorder text: they are shown by name.
  const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/u;
  function appendText(target, text) {
    let plain = "";
    for (const character of text) {
      if (!INVISIBLE.test(character)) { plain += character; continue; }
      if (plain) target.append(plain);
      plain = "";
      const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      target.append(element("span", "invisible", `U+${code}`));
    }
    if (plain) target.append(plain);
    return target;
  }
  const textBlock = (text) => appendText(element("pre"), text);

  async function opened(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // ---- theme ---------------------------------------------------------------------------------------------
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  function setTheme(name) {
    if (name === "auto") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", name);
    byId("theme").textContent = `Theme: ${name}`;
    try { localStorage.setItem("tunebench-theme", name); } catch { /* a file:// page may have no storage */ }
  }
  let theme = "auto";
  try { theme = localStorage.getItem("tunebench-theme") || "auto"; } catch { /* as above */ }
  if (!themes.includes(theme)) theme = "auto";
  setTheme(theme);
  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
  });

  // ---- the table -----------------------------------------------------------------------------------------
  for (const table of document.querySelectorAll("table.runs")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && column === 0);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.sort ?? "";
      const numeric = [...table.tBodies[0].rows].every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
      const rows = [...table.tBodies[0].rows].sort((one, two) => {
        const [a, b] = [key(one), key(two)];
        if (a === "" || b === "") return (a === "") - (b === ""); // missing values stay last, either way
        const order = numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
        return down ? order : -order;
      });
      table.tBodies[0].append(...rows);
    }));
  }

  // ---- differences ---------------------------------------------------------------------------------------
  const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || [];
  // Two lists of [word, differs]: what is not in a longest common subsequence of both texts differs.
  function difference(before, after) {
    const a = words(before), b = words(after);
    let start = 0, endA = a.length, endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
    const keepA = new Set(), keepB = new Set(), rows = endA - start, columns = endB - start;
    if (rows * columns <= MOST_CELLS) {
      const width = columns + 1, best = new Uint16Array((rows + 1) * width);
      for (let i = rows - 1; i >= 0; i--) for (let j = columns - 1; j >= 0; j--) {
        best[i * width + j] = a[start + i] === b[start + j] ? best[(i + 1) * width + j + 1] + 1
          : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
      }
      for (let i = 0, j = 0; i < rows && j < columns;) {
        if (a[start + i] === b[start + j]) { keepA.add(start + i++); keepB.add(start + j++); }
        else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) i++; else j++;
      }
    }
    const marked = (list, end, keep) => list.map((word, at) => [word, at >= start && at < end && !keep.has(at)]);
    return [marked(a, endA, keepA), marked(b, endB, keepB)];
  }
  function markedBlock(pieces, className) {
    const block = element("pre");
    for (const [word, differs] of pieces) appendText(differs ? block.appendChild(element("mark", className)) : block, word);
    return block;
  }

  // ---- evidence ------------------------------------------------------------------------------------------
  const cellText = (value) => value === null || value === undefined ? "NULL" : typeof value === "string" ? value : JSON.stringify(value);
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const isTable = (value) => (isObject(value) && Array.isArray(value.rows) && value.rows.every(Array.isArray))
    || (Array.isArray(value) && value.length > 0 && value.every(Array.isArray));
  const rowsOf = (value) => Array.isArray(value) ? value : value.rows;
  function tableOf(value, other) {
    const seen = other ? new Set(rowsOf(other).map((row) => JSON.stringify(row))) : null;
    const table = element("table");
    const head = Array.isArray(value.columns) ? value.columns : null;
    if (head) table.append(element("tr", "", ...head.map((name) => appendText(element("th"), cellText(name)))));
    for (const row of rowsOf(value)) {
      const odd = seen && !seen.has(JSON.stringify(row));
      table.append(element("tr", odd ? "odd" : "", ...row.map((cell) => appendText(element("td"), cellText(cell)))));
    }
    if (rowsOf(value).length === 0) table.append(element("tr", "", element("td", "muted", "no rows")));
    return table;
  }
  // Any JSON value: tables as tables (gold's beside the prediction's, rows of one side only marked), the rest as text.
  function evidenceOf(value, depth = 0) {
    const box = element("div", "evidence");
    const entries = Object.entries(value);
    const gold = entries.find(([name, part]) => /gold|expected/i.test(name) && isTable(part));
    const predicted = entries.find(([name, part]) => /pred|actual|answer/i.test(name) && isTable(part));
    for (const [name, part] of entries) {
      if (part === null || part === "" || (typeof part === "object" && Object.keys(part).length === 0)) continue;
      const title = appendText(element("div", "name"), name.replaceAll("_", " "));
      if (isTable(part)) {
        const pair = gold && predicted && (name === gold[0] ? predicted[1] : name === predicted[0] ? gold[1] : null);
        box.append(element("div", "", title, tableOf(part, pair)));
      } else if (isObject(part) && depth < 4) {
        box.append(element("div", "wide", title, evidenceOf(part, depth + 1)));
      } else {
        const text = typeof part === "string" ? part : JSON.stringify(part);
        const body = text.length > 60 || text.includes("\n") ? textBlock(text) : appendText(element("span", "mono"), text);
        box.append(element("div", text.length > 60 ? "wide" : "", title, body));
      }
    }
    return box;
  }

  // ---- the item browser ----------------------------------------------------------------------------------
  const browser = byId("browser");
  if (!browser) return;
  const control = (name) => byId(`filter-${name}`);
  const names = ["a", "reason", "b", "pair", "tag", "split", "search"];
  const chunks = new Map();
  let index = null, shown = [], limit = PAGE, current = null;

  const chunkOf = (number) => {
    const chunk = Math.floor(number / index.chunk);
    if (!chunks.has(chunk)) chunks.set(chunk, opened(`items-${chunk}`));
    return chunks.get(chunk);
  };
  function fill(select, options) {
    for (const [value, label] of options) {
      const option = element("option", "", label);
      option.value = value;
      select.append(option);
    }
  }
  const number = (name) => control(name).value === "" ? null : Number(control(name).value);

  function matches(item, want) {
    if (want.split && item.split !== want.split) return false;
    if (want.tag !== null && !item.tags.includes(want.tag)) return false;
    if (want.search && !want.hay(item).includes(want.search)) return false;
    const [a, b] = [want.a === null ? null : item.outcomes[want.a], want.b === null ? null : item.outcomes[want.b]];
    if (want.reason) {
      const [kind, value] = [want.reason[0], want.reason.slice(1)];
      const fits = (run) => kind === "o" ? item.outcomes[run] === value : item.why[run] === Number(value);
      if (!(want.a === null ? item.why.some((_, run) => fits(run)) : fits(want.a))) return false;
    } else if (a === "-") return false;
    if (!want.pair) return true;
    if (a === null || b === null || a === "-" || b === "-") return false;
    if (want.pair === "ab") return a === "r" && b !== "r" && b !== "x";
    if (want.pair === "ba") return b === "r" && a !== "r" && a !== "x";
    if (want.pair === "both") return a !== "r" && b !== "r";
    return a !== b;
  }

  function refilter() {
    const search = control("search").value.trim().toLowerCase();
    const want = {
      a: number("a"), b: number("b"), tag: number("tag"), reason: control("reason").value, pair: control("pair").value,
      split: control("split").value, search, hay: (item) => `${item.id} ${item.title}`.toLowerCase(),
    };
    shown = index.items.map((item, at) => at).filter((at) => matches(index.items[at], want));
    limit = PAGE;
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${index.items.length.toLocaleString("en")} items`
      + (want.pair && (want.a === null || want.b === null) ? ": choose a run A and a run B" : "");
    drawList(want);
    if (shown.length && !shown.includes(current)) show(shown[0]);
    if (!shown.length) byId("item").replaceChildren(element("p", "muted", "No item fits this filter."));
  }

  function drawList(want) {
    const list = byId("list");
    list.replaceChildren();
    for (const at of shown.slice(0, limit)) {
      const item = index.items[at];
      const marks = want.a === null && want.b === null
        ? `${[...item.outcomes].filter((letter) => letter === "r").length} of ${[...item.outcomes].filter((letter) => letter !== "-").length} right`
        : [want.a === null ? "" : `A ${SHAPES[item.outcomes[want.a]]}`, want.b === null ? "" : `B ${SHAPES[item.outcomes[want.b]]}`].join(" ");
      const button = element("button", "", element("span", "id", appendText(element("span"), item.id), element("span", "dots", marks)));
      appendText(button, item.title);
      button.type = "button";
      button.dataset.at = at;
      button.setAttribute("aria-current", at === current);
      button.addEventListener("click", () => show(at, true));
      list.append(button);
    }
    if (shown.length > limit) {
      const more = element("button", "muted", `Show ${Math.min(PAGE, shown.length - limit)} more`);
      more.type = "button";
      more.addEventListener("click", () => { limit += PAGE; drawList(want); });
      list.append(more);
    }
  }

  function answerCard(answer, gold, a, b) {
    const card = element("div", `card ${answer.outcome}`);
    const who = element("div", "who");
    const labels = answer.runs.map((run) => [run === a ? "A: " : run === b ? "B: " : "", index.runs[run].label]);
    labels.slice(0, 6).forEach(([mark, label], at) => {
      if (at) who.append(", ");
      who.append(appendText(element(mark ? "b" : "span"), mark + label));
    });
    if (labels.length > 6) who.append(` and ${labels.length - 6} more`);
    card.append(who, element("span", `chip ${answer.outcome}`, answer.outcome));
    card.append(appendText(element("span", "chip plain"), answer.why.replaceAll("_", " ")));
    if (answer.finish === "length") card.append(element("span", "chip plain", "cut by the token budget"));
    if (answer.answer) card.append(answer.outcome === "right" ? textBlock(answer.answer) : markedBlock(difference(gold, answer.answer)[1], "new"));
    else card.append(element("p", "muted small", "No answer could be extracted."));
    if (answer.text !== answer.answer) {
      const raw = element("details", "", element("summary", "", `Raw completion, ${answer.tokens} tokens`));
      raw.append(rawText(answer));
      raw.open = !answer.answer;
      card.append(raw);
    }
    const others = Object.entries(answer.others);
    if (others.length) {
      const more = element("details", "", element("summary", "", "Every scorer"));
      more.append(evidenceOf(Object.fromEntries([["deciding score", answer.value], ...others].map(([name, value]) => [name, value === null ? "not scored" : String(value)]))));
      card.append(more);
    }
    if (Object.keys(answer.evidence).length) {
      const why = element("details", "", element("summary", "", "Evidence"), evidenceOf(answer.evidence));
      why.open = answer.outcome !== "right" && (answer.runs.includes(a) || answer.runs.includes(b) || a === null);
      card.append(why);
    }
    return card;
  }
  // The completion with the span that was read as the answer marked, where the scorer says which one it was.
  function rawText(answer) {
    const span = answer.evidence.span ?? answer.evidence.answer_span;
    if (!Array.isArray(span) || span.length !== 2 || !(span[0] >= 0 && span[0] < span[1])) return textBlock(answer.text);
    const points = [...answer.text], block = element("pre");
    appendText(block, points.slice(0, span[0]).join(""));
    block.append(appendText(element("mark", "span"), points.slice(span[0], span[1]).join("")));
    return appendText(block, points.slice(span[1]).join(""));
  }

  async function show(at, scroll = false) {
    current = at;
    for (const button of byId("list").children) button.setAttribute("aria-current", Number(button.dataset.at) === at);
    const item = index.items[at], [a, b] = [number("a"), number("b")];
    const detail = (await chunkOf(at))[at % index.chunk];
    if (current !== at) return; // another item was chosen while this block was opened
    const view = element("div");
    view.append(appendText(element("h3"), `${item.id} \u00b7 ${item.split}`));
    for (const tag of item.tags) view.append(appendText(element("span", "chip plain"), index.tags[tag]));
    if (detail.cluster) view.append(appendText(element("span", "chip plain"), `cluster ${detail.cluster}`));
    view.append(element("h3", "", "Question"), appendText(element("p"), item.title));
    for (const [style, text] of Object.entries(detail.prompts)) {
      view.append(element("details", "", appendText(element("summary"), `The exact prompt, style ${style}`), textBlock(text)));
    }
    if (Object.keys(detail.inputs).length) view.append(element("h3", "", "Inputs"), evidenceOf(detail.inputs));
    const rank = (answer) => answer.runs.includes(a) ? 0 : answer.runs.includes(b) ? 1 : 2;
    const answers = [...detail.answers].sort((one, two) => rank(one) - rank(two));
    const compared = a === null ? null : answers.find((answer) => answer.runs.includes(a) && answer.answer && answer.outcome !== "right");
    view.append(element("h3", "", "Gold"), compared ? markedBlock(difference(detail.gold, compared.answer)[0], "gone") : textBlock(detail.gold));
    view.append(element("h3", "", `Answers: ${answers.length} different from ${answers.reduce((sum, answer) => sum + answer.runs.length, 0)} runs`));
    view.append(element("div", "answers", ...answers.map((answer) => answerCard(answer, detail.gold, a, b))));
    byId("item").replaceChildren(view);
    try { history.replaceState(null, "", `#item=${encodeURIComponent(item.id)}`); } catch { /* some viewers forbid it */ }
    if (scroll && matchMedia("(max-width: 56rem)").matches) byId("item").scrollIntoView({ behavior: "smooth" });
  }

  async function start() {
    if (index) return;
    index = await opened("items-index");
    const runs = index.runs.map((run, at) => [at, run.label]);
    fill(control("a"), runs);
    fill(control("b"), runs);
    fill(control("reason"), Object.entries(OUTCOMES).map(([letter, word]) => [`o${letter}`, word]));
    fill(control("reason"), index.reasons.map((reason, at) => [`w${at}`, `reason: ${reason.replaceAll("_", " ")}`]));
    fill(control("tag"), index.tags.map((tag, at) => [at, tag]));
    fill(control("split"), [...new Set(index.items.map((item) => item.split))].map((split) => [split, split]));
    for (const name of names) control(name).addEventListener(name === "search" ? "input" : "change", refilter);
    for (const name of ["a", "b"]) control(name).addEventListener("change", () => current !== null && show(current));
    byId("swap").addEventListener("click", () => {
      [control("a").value, control("b").value] = [control("b").value, control("a").value];
      refilter();
      if (current !== null) show(current);
    });
    const wanted = /^#item=(.+)$/.exec(location.hash);
    if (wanted) {
      let id = "";
      try { id = decodeURIComponent(wanted[1]); } catch { /* a malformed link opens the first item */ }
      const at = index.items.findIndex((item) => item.id === id);
      if (at >= 0) current = at;
    }
    refilter();
    if (current !== null) show(current);
    browser.dataset.ready = "true";
  }
  if (location.hash.startsWith("#item=")) start();
  else new IntersectionObserver((seen, watch) => {
    if (seen.some((entry) => entry.isIntersecting)) { watch.disconnect(); start(); }
  }, { rootMargin: "400px" }).observe(browser);
})();
