// Runs before the page is drawn: the reader's last choice, else what the system prefers.
(function () {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch (error) {
    // Some browsers keep no storage for pages opened from a file: the system's preference decides.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => { document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light"); };
  dark.addEventListener("change", show);
  show();
})();
