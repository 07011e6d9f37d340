// Light or dark: the user's choice, else that of the surrounding page.

/** @import { Theme } from "../canvas/canvas.js" */

const COLOURS = /** @type {(keyof Theme)[]} */ ([
  ...[
    "text",
    "soft",
    "edge",
    "control",
    "grid",
    "blank",
    "chip",
    "chipText",
    "line",
    "threshold",
    "band",
    "back",
  ],
]);
const WATCHED = ["class", "data-jp-theme-light", "data-theme"]; // attributes that hosts set

/** @param {MediaQueryList} media */
function isDarkAround(media) {
  const { body, documentElement: page } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  return body.classList.contains("vscode-dark") || page.dataset.theme === "dark" || media.matches;
}

/** Theme and size of the surroundings of an element. */
export class Surroundings {
  /**
   * @param {HTMLElement} root
   * @param {() => void} onChange Called when theme or size may have changed.
   */
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.media = window.matchMedia("(prefers-color-scheme: dark)");
    this.media.addEventListener("change", onChange);
    const themes = new MutationObserver(onChange);
    for (const element of [document.documentElement, document.body]) {
      themes.observe(element, { attributes: true, attributeFilter: WATCHED });
    }
    const sizes = new ResizeObserver(onChange);
    sizes.observe(root);
    this.observers = [themes, sizes];
  }

  /**
   * Apply a theme, and read its colours from the style sheet.
   * @param {string} wanted "auto", "light" or "dark".
   * @returns {Theme}
   */
  apply(wanted) {
    const automatic = isDarkAround(this.media) ? "dark" : "light";
    const name = wanted && wanted !== "auto" ? wanted : automatic;
    if (this.root.dataset.theme !== name || !this.colours) {
      this.root.dataset.theme = name;
      const style = getComputedStyle(this.root);
      const read = (/** @type {string} */ colour) => style.getPropertyValue(`--lk-${colour}`).trim();
      this.colours = /** @type {Theme} */ (
        Object.fromEntries(COLOURS.map((colour) => [colour, read(colour)]))
      );
    }
    return this.colours;
  }

  close() {
    for (const observer of this.observers) observer.disconnect();
    this.media.removeEventListener("change", this.onChange);
  }
}
