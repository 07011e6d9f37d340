// The explorer: its parts, and how a change of the state reaches them. Every change, by a key, a pointer or
// Python, ends in one call of `draw` before the next frame.

import { BAR_WIDTH } from "../canvas/colourbar.js";
import { describeCell, describeMarks } from "../trace/captions.js";
import { csv } from "../trace/csv.js";
import { View } from "../trace/view.js";
import { CellControls, ColourControls } from "./controls.js";
import { Details } from "./details.js";
import { download, make, setText } from "./dom.js";
import { connectCurve, connectHeatmap } from "./input.js";
import { PanelPictures } from "./panel.js";
import { savePicture } from "./picture.js";
import { makeTable } from "./table.js";
import { Surroundings } from "./theme.js";
import { ThresholdControls } from "./threshold.js";

/**
 * @import { Theme } from "../canvas/canvas.js"
 * @import { Data } from "../trace/data.js"
 * @import { Limits } from "../trace/scale.js"
 * @import { Cell, State } from "../trace/view.js"
 */

const NARROW = 560; // pixels; below, panels are stacked and the colour bar is below the picture
const GAP = 16; // pixels between panels
const REST = 200; // milliseconds without a change before screen readers are told

export class Explorer {
  /**
   * @param {HTMLElement} root
   * @param {Data} data
   * @param {State} state
   * @param {(changes: Partial<State>) => void} [onChange] Called with every change that the user makes.
   */
  constructor(root, data, state, onChange = () => {}) {
    this.root = root;
    this.onChange = onChange;
    this.view = new View(data, { ...state });
    /** @type {Cell | null} */
    this.hovered = null;
    /** @type {number | undefined} */
    this.frame = undefined; // request of the next animation frame
    this.form = "";
    this.version = 0; // of the data
    this.limits = { key: "", found: /** @type {Limits} */ ([0, 1]), marks: "" };
    root.classList.add("latentkit-explorer", "lk");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Explorer of a trace");
    keepKeys(root);
    this.surroundings = new Surroundings(root, () => this.draw());
    this.load(data);
  }

  close() {
    this.surroundings.close();
    cancelAnimationFrame(this.frame ?? 0);
    clearTimeout(this.resting);
    this.root.replaceChildren();
  }

  // Changes

  /** Show other data; the page is built again only if it needs other parts. @param {Data} data */
  load(data) {
    this.view.data = data;
    const names = data.variables.map(({ name }) => name);
    const readouts = data.panels.map(({ readout }) => Boolean(readout));
    const form = JSON.stringify([data.kind, names, data.rules, readouts]);
    if (form !== this.form) this.build();
    this.form = form;
    this.version += 1;
    this.cellControls?.setEnds();
    this.draw();
  }

  /** Take a change that the user made. @param {Partial<State>} changes */
  set(changes) {
    this.update(changes);
    this.onChange(changes);
  }

  /** Take a change from outside. @param {Partial<State>} changes */
  update(changes) {
    Object.assign(this.view.state, changes);
    this.draw();
  }

  /** Choose a cell or rows, and announce the cell. @param {Partial<State>} changes */
  select(changes) {
    this.hovered = null;
    this.set(changes);
    const { view } = this;
    const describe = () =>
      view.data.panels.map((panel) => describeCell(view, panel, view.rowOf(panel), view.columnOf(panel)));
    this.announce(() => describe().join(" "));
  }

  /** Tell screen readers a text, once the user has paused. @param {() => string} text */
  announce(text) {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.live) this.live.textContent = text();
    }, REST);
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paint();
    });
  }

  // Building

  build() {
    const { view } = this;
    const actions = {
      set: (/** @type {Partial<State>} */ changes) => this.set(changes),
      select: (/** @type {Partial<State>} */ changes) => this.select(changes),
      announce: (/** @type {() => string} */ text) => this.announce(text),
    };
    this.cellControls = new CellControls(view, actions);
    this.colourControls = new ColourControls(view, actions);
    this.thresholdControls = view.hasTokens ? new ThresholdControls(view, actions) : null;
    this.pictures = view.data.panels.map((_, index) => new PanelPictures(view, index));
    this.details = view.data.panels.map((_, index) => new Details(view, index));
    for (const pictures of this.pictures) {
      connectHeatmap(pictures, actions, (cell) => this.hover(cell));
      connectCurve(pictures, actions);
    }
    this.live = make("p", { class: "lk-hidden", "aria-live": "polite" });
    const region = { tabindex: "0", role: "region", "aria-label": "Numbers at the chosen iteration" };
    this.table = make("div", { class: "lk-table", ...region, hidden: true });
    const pictures = make("div", { class: "lk-panels" }, ...this.pictures.map(({ element }) => element));
    this.marks = make("p", { class: "lk-note" });
    this.main = make("div", { class: "lk-pictures" }, pictures, this.marks);
    const details = make("div", { class: "lk-details" }, ...this.details.map(({ element }) => element));
    this.root.replaceChildren(
      this.cellControls.element,
      this.colourControls.element,
      make("div", { class: "lk-main" }, this.main, details),
      ...(this.thresholdControls ? [this.thresholdControls.element] : []),
      this.buildButtons(this.table),
      this.table,
      this.live,
    );
  }

  /** @param {HTMLElement} table */
  buildButtons(table) {
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
      make("button", { type: "button", onclick }, text);
    const toggle = button("Show as table", () => {
      table.hidden = !table.hidden;
      toggle.setAttribute("aria-expanded", String(!table.hidden));
      toggle.textContent = table.hidden ? "Show as table" : "Hide table";
      this.draw();
    });
    toggle.setAttribute("aria-expanded", "false");
    const save = (/** @type {"png" | "svg"} */ kind) => () =>
      savePicture(this.pictures ?? [], this.theme?.back ?? "", kind);
    const png = button("Save picture (PNG)", save("png"));
    const svg = button("Save picture (SVG)", save("svg"));
    const numbers = () => new Blob([csv(this.view)], { type: "text/csv" });
    const text = button("Save numbers (CSV)", () => download(numbers(), "trace.csv"));
    return make("div", { class: "lk-buttons" }, toggle, png, svg, text);
  }

  /** Show details and curve of the cell under the pointer. @param {Cell | null} cell */
  hover(cell) {
    this.hovered = cell;
    this.draw();
  }

  // Painting

  paint() {
    if (!this.main?.clientWidth) return; // hidden, or narrower than its own margins
    const { view } = this;
    this.theme = this.surroundings.apply(view.state.theme);
    const isNarrow = this.main.clientWidth < NARROW;
    this.root.toggleAttribute("data-narrow", isNarrow);
    this.cellControls?.show();
    this.colourControls?.show();
    this.thresholdControls?.show();
    this.pictures?.forEach((pictures, index) => {
      const { panel } = pictures;
      const row = view.rowOf(panel, this.hovered?.token ?? view.state.token);
      const column = view.columnOf(panel, this.hovered?.iteration ?? view.state.iteration);
      pictures.paint(this.frameOf(index, isNarrow), { row, column });
      this.details?.[index].show(row, column);
    });
    if (this.marks) setText(this.marks, this.limits.marks);
    if (this.table && !this.table.hidden) this.table.replaceChildren(makeTable(view));
  }

  /**
   * @param {number} index Of the panel.
   * @param {boolean} isNarrow
   * @returns {import("./panel.js").Frame}
   */
  frameOf(index, isNarrow) {
    const count = this.view.data.panels.length;
    const isLast = index === count - 1;
    const all = this.main?.clientWidth ?? 0;
    const width = isNarrow ? all : Math.floor((all - GAP * (count - 1) - BAR_WIDTH) / count);
    const bar = !isLast ? null : isNarrow ? "below" : "right";
    const theme = /** @type {Theme} */ (this.theme);
    return { theme, limits: this.currentLimits(), version: this.version, width, bar };
  }

  /** Limits of the colours, computed again only if they may have changed. @returns {Limits} */
  currentLimits() {
    const { state, variable, log } = this.view;
    const choices = [this.version, variable.name, log, state.token_range, state.vmin, state.vmax];
    const key = JSON.stringify(choices);
    if (this.limits.key !== key) {
      const found = this.view.limits();
      this.limits = { key, found, marks: describeMarks(this.view, found) };
    }
    return this.limits.found;
  }
}

/**
 * Keep keys from JupyterLab's shortcuts: new versions respect the attribute, for older ones
 * the event does not leave the explorer.
 * @param {HTMLElement} root
 */
function keepKeys(root) {
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
}
