// Search: every word must occur; a hit in a title counts most, one in a heading more than one in the text.
"use strict";

const box = document.getElementById("search");
const panel = document.getElementById("results");

function pattern(word) {
  const literal = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp((/^\w/.test(word) ? "(?<![A-Za-z0-9])" : "") + literal, "i");
}

function find(query) {
  const patterns = query.trim().split(/\s+/).filter(Boolean).map(pattern);
  if (!patterns.length) return [];
  const hits = [];
  SEARCH.sections.forEach(([page, heading, anchor, text], place) => {
    const title = SEARCH.pages[page][1];
    let score = 0;
    for (const word of patterns) {
      const points = 8 * word.test(title) + 4 * word.test(heading) + word.test(text);
      if (!points) return;
      score += points;
    }
    hits.push({ score, place, page, heading, anchor, text });
  });
  return hits.sort((a, b) => b.score - a.score || a.place - b.place).slice(0, 30).map((hit) => ({ ...hit, patterns }));
}

function snippet(hit) {
  const part = document.createElement("span");
  const starts = hit.patterns.map((word) => hit.text.search(word)).filter((at) => at >= 0);
  const start = Math.max(0, Math.min(...starts, hit.text.length) - 40);
  let rest = (start ? "…" : "") + hit.text.slice(start, start + 160);
  const any = new RegExp(hit.patterns.map((word) => word.source).join("|"), "i");
  for (let found; (found = rest.match(any)); rest = rest.slice(found.index + found[0].length)) {
    const mark = document.createElement("mark");
    mark.textContent = found[0];
    part.append(rest.slice(0, found.index), mark);
  }
  part.append(rest);
  return part;
}

function show() {
  const hits = find(box.value);
  panel.hidden = !box.value.trim();
  panel.replaceChildren(...hits.map((hit) => {
    const link = document.createElement("a");
    const [file, title] = SEARCH.pages[hit.page];
    link.href = file + (hit.anchor ? "#" + hit.anchor : "");
    const name = document.createElement("b");
    name.textContent = hit.heading && hit.heading !== title ? `${title} › ${hit.heading}` : title;
    link.append(name, snippet(hit));
    link.addEventListener("click", () => { panel.hidden = true; });
    return link;
  }));
  if (!hits.length) panel.textContent = "Nothing found · 没有找到";
}

function search() {
  if (window.SEARCH) return show();
  const index = document.createElement("script"); // loaded once, when it is first asked for
  index.src = "search-index.js";
  index.addEventListener("load", show);
  document.head.append(index);
}

box.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") panel.hidden = true;
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("header")) panel.hidden = true;
});

const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  box.value = asked;
  search();
}
