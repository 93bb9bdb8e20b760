"use strict";
(() => {
  const PAGE = 40;
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const models = [...new Set(data.cells.map((cell) => cell.model))];
  const form = byId("filters");
  const field = (name) => (form.elements[name] ? form.elements[name].value : "");
  let scenes = [];
  let shown = 0;

  function element(tag, name, ...children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children);
    return made;
  }

  function inLanguage(language, text) {
    const made = element("span", "", text);
    made.lang = language;
    return made;
  }

  const bothLanguages = ([ko, en]) => [inLanguage("ko", ko), inLanguage("en", en)];

  // The same markup as the template's `line`.
  function lineElement(cell, line, beside) {
    const spoken = document.createElement("bdi");
    spoken.className = "said";
    const body = element("div", "body", spoken);
    if (typeof line === "string") spoken.append(line);
    else {
      for (const [text, found] of line.pieces) {
        if (!found.length) { spoken.append(text); continue; }
        const mark = element("mark", text ? "" : "point", text);
        mark.tabIndex = 0;
        mark.dataset.v = found.join(" ");
        spoken.append(mark);
      }
      const kinds = [...new Set(line.why.map(([kind]) => kind))];
      body.append(element("div", "found", "⚠ ", ...kinds.flatMap((kind, i) => [i ? ", " : "", ...bothLanguages(data.kinds[kind])])));
      body.append(element("ul", "why", ...line.why.map(([kind, message]) =>
        element("li", "", element("b", "", ...bothLanguages(data.kinds[kind])), " ", element("bdi", "", message)))));
    }
    const number = models.indexOf(cell.model);
    const name = element("b", "model m" + (number % 6), shapeOf(cell.model), cell.model);
    return element("div", beside ? "line beside" : "line", element("div", "who", name, " ", element("small", "", cell.decoding)), body);
  }

  function shapeOf(model) {
    const drawn = [...document.querySelectorAll("#rates .plot-row")].find((row) => row.dataset.model === model);
    return drawn ? drawn.querySelector(".shape").cloneNode(true) : "";
  }

  function matchesKind(line, kind) {
    if (!kind) return true;
    const kinds = typeof line === "string" ? [] : line.why.map(([found]) => found);
    return kind === "-" ? !kinds.length : kind === "*" ? kinds.length > 0 : kinds.includes(kind);
  }

  function search() {
    const sought = field("search").normalize("NFC").toLowerCase().trim();
    const kind = field("kind");
    const cells = data.cells.filter((c) => (!field("model") || c.model === field("model")) && (!field("decoding") || c.decoding === field("decoding")));
    const says = (text) => text.normalize("NFC").toLowerCase().includes(sought);
    scenes = [];
    let count = 0;
    data.prompts.forEach((prompt, index) => {
      if (["personality", "class"].some((role) => field(role) && prompt[role] !== field(role))) return;
      const here = !sought || prompt.words.some(([, value]) => says(value));
      const hits = cells.filter((c) => {
        const line = c.lines[index];
        return matchesKind(line, kind) && (here || says(typeof line === "string" ? line : line.text));
      });
      if (hits.length) scenes.push([prompt, index, new Set(hits)]);
      count += hits.length;
    });
    const all = data.cells.length * data.prompts.length;
    byId("count").replaceChildren(...bothLanguages([`대사 ${count}줄 (모두 ${all}줄 가운데)`, `${count} of ${all} lines`]));
    byId("count").dataset.count = count;
    byId("found").replaceChildren();
    shown = 0;
    showMore();
  }

  function showMore() {
    const beside = form.elements.beside.checked;
    for (const [prompt, index, hits] of scenes.slice(shown, shown + PAGE)) {
      const scene = element("article", "scene", element("h4", "", ...prompt.words.map(([key, value]) => element("span", "", element("small", "", key), " ", value))));
      for (const cell of data.cells) {
        const listed = !field("decoding") || cell.decoding === field("decoding");
        if (hits.has(cell) || (beside && listed)) scene.append(lineElement(cell, cell.lines[index], !hits.has(cell)));
      }
      byId("found").append(scene);
    }
    shown = Math.min(shown + PAGE, scenes.length);
    byId("more").hidden = shown >= scenes.length;
  }

  function speak(language) {
    root.dataset.lang = language;
    root.lang = language;
    const other = language === "ko" ? "en" : "ko";
    byId("language").textContent = other === "en" ? "English" : "한국어";
    byId("language").lang = other;
    for (const option of document.querySelectorAll("option[data-ko]")) option.textContent = option.dataset[language];
  }

  const tip = byId("tip");
  function explain(mark) {
    const reasons = mark.closest(".body").querySelectorAll(".why li");
    tip.replaceChildren(...mark.dataset.v.split(" ").map((number) => element("div", "", ...[...reasons[number].childNodes].map((n) => n.cloneNode(true)))));
    tip.hidden = false;
    const place = mark.getClientRects()[0];
    const left = Math.max(8, Math.min(place.left, root.clientWidth - tip.offsetWidth - 8));
    const below = place.bottom + 8;
    const top = below + tip.offsetHeight > window.innerHeight ? Math.max(8, place.top - tip.offsetHeight - 8) : below;
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
    mark.setAttribute("aria-describedby", "tip");
  }

  function hush() {
    tip.hidden = true;
    for (const mark of document.querySelectorAll("mark[aria-describedby]")) mark.removeAttribute("aria-describedby");
  }

  for (const kind of Object.keys(data.kinds)) {
    const option = new Option(data.kinds[kind][0], kind);
    [option.dataset.ko, option.dataset.en] = data.kinds[kind];
    form.elements.kind.append(option);
  }
  for (const event of ["pointerover", "focusin", "click"]) {
    document.addEventListener(event, (e) => {
      const mark = e.target.closest && e.target.closest("mark");
      if (mark) explain(mark); else if (event === "click") hush();
    });
  }
  for (const event of ["pointerout", "focusout"]) document.addEventListener(event, (e) => { if (e.target.closest && e.target.closest("mark")) hush(); });
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") hush(); });
  document.addEventListener("scroll", hush, { passive: true });
  byId("language").addEventListener("click", () => speak(root.dataset.lang === "ko" ? "en" : "ko"));
  byId("explain").addEventListener("change", (e) => document.body.classList.toggle("explained", e.target.checked));
  byId("more").addEventListener("click", showMore);
  form.addEventListener("input", search);
  form.addEventListener("submit", (e) => e.preventDefault());
  byId("explorer").hidden = false;
  search();
})();
