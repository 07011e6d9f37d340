// Sliders and lists for what is shown: cell, range of tokens, variable, colours, theme.

import { columnName, rowLabel } from "../trace/captions.js";
import { clamp } from "../trace/view.js";
import { make } from "./dom.js";

/**
 * @import { Panel } from "../trace/data.js"
 * @import { State, View } from "../trace/view.js"
 */

/**
 * @typedef {object} Actions What controls can do.
 * @property {(changes: Partial<State>) => void} set Change the state.
 * @property {(changes: Partial<State>) => void} select Choose a cell or rows, and announce the cell.
 * @property {(text: () => string) => void} announce Tell screen readers, after a short rest.
 */

/**
 * Make a label, a native slider, and the value beside it, which the slider itself tells screen readers.
 * @param {string} label
 * @param {(value: number) => void} change
 */
export function slider(label, change) {
  const input = make("input", { type: "range", step: "1", oninput: () => change(Number(input.value)) });
  const shown = make("span", { class: "lk-value", "aria-hidden": "true" });
  return { input, shown, label: make("label", {}, make("span", {}, label), input) };
}

/**
 * Make a list to choose from, with its label.
 * @param {string} label
 * @param {string[][]} options Values and texts.
 * @param {(value: string) => void} change
 */
export function list(label, options, change) {
  const input = make(
    "select",
    { onchange: () => change(input.value) },
    ...options.map(([value, text]) => make("option", { value }, text)),
  );
  return { input, label: make("label", {}, make("span", {}, label), input) };
}

/**
 * @param {HTMLInputElement} input
 * @param {number} value
 * @param {string} text For screen readers.
 */
export function showSlider(input, value, text) {
  if (input.value !== String(value)) input.value = String(value);
  input.setAttribute("aria-valuetext", text);
}

/**
 * First value of a slider over positions: the first position if they follow each other, else 0.
 * @param {number[]} positions
 */
function offsetOf(positions) {
  return positions.every((value, index) => value === positions[0] + index) ? positions[0] : 0;
}

/** @param {HTMLInputElement} input @param {number[]} positions */
function setEnds(input, positions) {
  const offset = offsetOf(positions);
  Object.assign(input, { min: offset, max: offset + positions.length - 1 });
}

/** Sliders for the chosen cell and the range of tokens. */
export class CellControls {
  /** @param {View} view @param {Actions} actions */
  constructor(view, actions) {
    this.view = view;
    this.actions = actions;
    const { column, row } = view.data;
    this.column = slider(column, (value) => actions.select({ iteration: this.at("columns", value) }));
    this.row = slider(row, (value) => actions.select({ token: this.at("rows", value) }));
    const pairs = [this.column, this.row].flatMap(({ label, shown }) => [label, shown]);
    this.element = make("div", { class: "lk-sliders" }, ...pairs);
    if (view.hasTokens) this.element.append(...this.buildRange());
  }

  /** Two native sliders, one over the other, for the first and the last token shown. */
  buildRange() {
    this.ends = ["First", "Last"].map((end, index) =>
      make("input", {
        ...{ type: "range", step: "1", "aria-label": `${end} token shown` },
        oninput: () => this.changeRange(index),
      }),
    );
    this.range = make("span", { class: "lk-value", "aria-hidden": "true" });
    const title = make("span", { "aria-hidden": "true" }, "Tokens shown");
    const both = make("span", { class: "lk-double" }, ...this.ends);
    return [make("div", { class: "lk-range" }, title, both), this.range];
  }

  /**
   * Move one end; the other one is not passed.
   * @param {number} moved 0 for the first, 1 for the last.
   */
  changeRange(moved) {
    const [first, last] = (this.ends ?? []).map((input) => this.at("rows", Number(input.value)));
    const ends = moved === 0 ? [first, Math.max(first, last)] : [Math.min(first, last), last];
    const token = clamp(this.view.state.token, ends[0], ends[1]);
    this.actions.select({ token_range: ends, ...(token === this.view.state.token ? {} : { token }) });
  }

  /** Position for the value of a slider. @param {"rows" | "columns"} axis @param {number} value */
  at(axis, value) {
    const positions = this.view.data.panels[0][axis];
    return positions[value - offsetOf(positions)];
  }

  /** Fit the sliders to new data. */
  setEnds() {
    const [{ rows, columns }] = this.view.data.panels;
    setEnds(this.column.input, columns);
    for (const input of [this.row.input, ...(this.ends ?? [])]) setEnds(input, rows);
  }

  show() {
    const { view } = this;
    const [panel] = view.data.panels;
    const [row, column] = [view.rowOf(panel), view.columnOf(panel)];
    const columnText = panel.columnLabels?.[column] ?? String(panel.columns[column]);
    this.column.shown.textContent = columnText;
    showSlider(this.column.input, column + offsetOf(panel.columns), columnText);
    this.row.shown.textContent = rowLabel(view, panel, row);
    showSlider(this.row.input, row + offsetOf(panel.rows), rowLabel(view, panel, row));
    if (this.ends && this.range) this.showRange(panel, this.ends, this.range);
  }

  /** @param {Panel} panel @param {HTMLInputElement[]} ends @param {HTMLElement} range */
  showRange(panel, ends, range) {
    const rows = this.view.rowsShown(panel);
    const [first, last] = [rows[0], rows[rows.length - 1]];
    [first, last].forEach((row, index) => {
      showSlider(ends[index], row + offsetOf(panel.rows), rowLabel(this.view, panel, row));
    });
    range.textContent = `${panel.numbers[first]}–${panel.numbers[last]}`;
  }
}

/** Lists for variable, colours, scale, limits and theme. */
export class ColourControls {
  /** @param {View} view @param {Actions} actions */
  constructor(view, actions) {
    this.view = view;
    const { set } = actions;
    const automatic = { vmin: null, vmax: null };
    const names = view.data.variables.map(({ name, label }) => [name, label]);
    this.variable = list("Variable", names, (variable) => {
      set({ variable, scale: "", ...automatic, ...(view.rule ? {} : { threshold: null }) });
    });
    const maps = Object.keys(view.data.maps).map((name) => [name, name]);
    this.colormap = list("Colour map", maps, (colormap) => set({ colormap }));
    const scales = [
      ["log", "logarithmic"],
      ["linear", "linear"],
    ];
    this.scale = list("Scale", scales, (scale) => set({ scale, ...automatic }));
    this.limits = list(
      "Limits",
      [
        ["auto", "automatic"],
        ["fixed", "fixed"],
      ],
      (kind) => {
        const [vmin, vmax] = view.limits();
        set(kind === "auto" ? automatic : { vmin, vmax });
      },
    );
    this.ends = ["Minimum", "Maximum"].map((label) => {
      const input = make("input", { type: "number", step: "any", onchange: () => this.takeLimits(set) });
      return { input, label: make("label", { hidden: true }, make("span", {}, label), input) };
    });
    const themes = [
      ["auto", "automatic"],
      ["light", "light"],
      ["dark", "dark"],
    ];
    this.theme = list("Theme", themes, (theme) => set({ theme }));
    const lists = [this.variable, this.colormap, this.scale, this.limits, ...this.ends, this.theme];
    this.element = make("div", { class: "lk-choices" }, ...lists.map(({ label }) => label));
  }

  /** @param {Actions["set"]} set */
  takeLimits(set) {
    const [low, high] = this.ends.map(({ input }) => input.valueAsNumber);
    const isValid = low < high && (!this.view.log || low > 0);
    const above = this.view.log ? ", and above 0 on a logarithmic scale" : "";
    const [{ input }] = this.ends;
    input.setCustomValidity(isValid ? "" : `The minimum must be below the maximum${above}.`);
    if (isValid) set({ vmin: low, vmax: high });
    else input.reportValidity();
  }

  show() {
    const { view } = this;
    this.variable.input.value = view.variable.name;
    this.colormap.input.value = view.colourMap;
    this.scale.input.value = view.log ? "log" : "linear";
    this.limits.input.value = view.hasFixedLimits ? "fixed" : "auto";
    this.theme.input.value = view.state.theme || "auto";
    const limits = view.hasFixedLimits ? view.limits() : null;
    this.ends.forEach(({ input, label }, end) => {
      label.hidden = !limits;
      const isEdited = document.activeElement === input;
      if (limits && !isEdited) input.value = String(Number(limits[end].toPrecision(6)));
    });
  }
}

/**
 * Text that names the place of the cursor.
 * @param {View} view
 * @param {Panel} panel
 * @param {number} row
 * @param {number} column
 */
export function placeText(view, panel, row, column) {
  return `${view.data.row} ${rowLabel(view, panel, row)}, ${columnName(view, panel, column)}`;
}
