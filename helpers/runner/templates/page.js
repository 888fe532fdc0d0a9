// The switch for dark pages, the table of contents on a phone, diagrams and formulas. No library, no request.
"use strict";

window.MathJax = {
  tex: { inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]], processEscapes: true, tags: "none" },
  svg: { fontCache: "local" },
  options: { ignoreHtmlClass: "no-math", processHtmlClass: "math", enableMenu: false },
};

document.getElementById("theme").addEventListener("click", () => {
  const page = document.documentElement;
  page.dataset.theme = page.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", page.dataset.theme);
  } catch (error) {
    // No storage for pages opened from a file: the choice holds for this page.
  }
});

const contents = document.querySelector("details.contents");
if (contents && matchMedia("(max-width: 1000px)").matches) contents.open = false;

document.addEventListener("DOMContentLoaded", async () => {
  if (!window.mermaid) return;
  mermaid.initialize({ startOnLoad: false, theme: "neutral", securityLevel: "strict" });
  await mermaid.run({ querySelector: "pre.mermaid" });
  for (const drawing of document.querySelectorAll("pre.mermaid svg")) {
    // A wide diagram fills its box, and on a phone keeps a readable size and is scrolled sideways in its box.
    const room = Math.max(drawing.parentElement.clientWidth - 32, 850);
    drawing.style.minWidth = Math.min(parseFloat(drawing.style.maxWidth) || 0, room) + "px";
  }
});
