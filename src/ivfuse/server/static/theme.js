// Light and dark: the page follows the system until its switch is used, and again when both agree.

const KEY = "ivfuse-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

function stored() {
  try { return localStorage.getItem(KEY); } catch { return null; } // storage may be forbidden
}

function store(theme) {
  try { if (theme) localStorage.setItem(KEY, theme); else localStorage.removeItem(KEY); } catch { /* for this page only */ }
}

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

function apply(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  const button = document.getElementById("theme");
  button.setAttribute("aria-pressed", String(isDark()));
  button.title = isDark() ? "Use light colors" : "Use dark colors";
}

document.getElementById("theme").addEventListener("click", () => {
  const wanted = isDark() ? "light" : "dark";
  const theme = (wanted === "dark") === system.matches ? null : wanted;
  store(theme);
  apply(theme);
});
system.addEventListener("change", () => apply(stored()));
apply(stored());
