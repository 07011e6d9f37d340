// What is shown of the data, given the choices of the user. Nothing here needs a page.

import { fixedLimits, limitsOf, scaleOf } from "./scale.js";
import { exitColumn, settledColumn } from "./stops.js";

/**
 * @import { Data, Panel, Rule, Variable } from "./data.js"
 * @import { Limits } from "./scale.js"
 */

/**
 * @typedef {object} State Everything that the user can choose, under the names of the widget's traits.
 * @property {number} iteration Chosen column, by position.
 * @property {number} token Chosen row, by position.
 * @property {number[]} token_range
 * @property {string} variable
 * @property {string} colormap
 * @property {string} scale "log", "linear", or "" for the variable's default.
 * @property {number | null} vmin
 * @property {number | null} vmax
 * @property {string} criterion Name of an exit rule; "" for settling.
 * @property {number | null} threshold
 * @property {string} theme "auto", "light" or "dark".
 */

/** @typedef {{ token: number, iteration: number }} Cell A cell by its positions. */

export const TRAITS = /** @type {(keyof State)[]} */ ([
  ...["iteration", "token", "token_range", "variable", "colormap", "scale", "vmin", "vmax"],
  ...["criterion", "threshold", "theme"],
]);

/** Share of a row's first value: the default threshold of settling, `RELATIVE` of `measure.settling`. */
export const DEFAULT_SHARE = 0.01;

export class View {
  /**
   * @param {Data} data
   * @param {State} state
   */
  constructor(data, state) {
    this.data = data;
    this.state = state;
  }

  get hasTokens() {
    return this.data.predicts !== null;
  }

  get severalPanels() {
    return this.data.panels.length > 1;
  }

  /** @returns {Variable} */
  get variable() {
    return this.data.variables.find(({ name }) => name === this.state.variable) ?? this.data.variables[0];
  }

  get log() {
    return this.state.scale ? this.state.scale === "log" : this.variable.log;
  }

  get colourMap() {
    return this.data.maps[this.state.colormap] ? this.state.colormap : this.data.map;
  }

  get colours() {
    return this.data.maps[this.colourMap];
  }

  /** @returns {Rule | null} */
  get rule() {
    return this.data.rules.find(({ name }) => name === this.state.criterion) ?? null;
  }

  // Cells

  /**
   * Column of an iteration, or the nearest one.
   * @param {Panel} panel
   * @param {number} [iteration]
   */
  columnOf(panel, iteration = this.state.iteration) {
    return nearestIndex(panel.columns, iteration);
  }

  /** Row of a token, or the nearest one. @param {Panel} panel @param {number} [token] */
  rowOf(panel, token = this.state.token) {
    return nearestIndex(panel.rows, token);
  }

  /**
   * Rows within the chosen range; layers are all shown.
   * @param {Panel} panel
   * @returns {number[]}
   */
  rowsShown(panel) {
    const all = panel.rows.map((_, row) => row);
    if (!this.hasTokens || this.state.token_range?.length !== 2) return all;
    const [first, last] = this.state.token_range;
    const shown = all.filter((row) => panel.rows[row] >= first && panel.rows[row] <= last);
    return shown.length ? shown : all;
  }

  /** @param {Panel} panel @param {Float32Array} table @param {number} row */
  rowValues(panel, table, row) {
    const columns = panel.columns.length;
    return table.subarray(row * columns, (row + 1) * columns);
  }

  /** @param {Panel} panel @param {string} name @param {number} row @param {number} column */
  value(panel, name, row, column) {
    return panel.variables[name][row * panel.columns.length + column];
  }

  /**
   * List the likeliest tokens of a cell, best first; empty if there are none.
   * @param {Panel} panel @param {number} row @param {number} column
   */
  readout(panel, row, column) {
    const { readout, columns } = panel;
    if (!readout) return [];
    const cells = panel.rows.length * columns.length;
    return Array.from({ length: readout.ranks }, (_, rank) => rank * cells + row * columns.length + column)
      .filter((place) => readout.place[place] !== readout.missing)
      .map((place) => ({
        text: readout.texts[readout.place[place]],
        probability: readout.probability[place],
      }));
  }

  /**
   * Text of a cell's likeliest token; null if it is unknown.
   * @param {Panel} panel
   * @param {number} row
   * @param {number} column
   */
  likeliest(panel, row, column) {
    return this.readout(panel, row, column)[0]?.text ?? null;
  }

  // Colours

  /** Limits of the colour scale, the same for all panels. @returns {Limits} */
  limits() {
    const rows = this.data.panels.flatMap((panel) => {
      const table = panel.variables[this.variable.name];
      return this.rowsShown(panel).map((row) => this.rowValues(panel, table, row));
    });
    const [, high] = limitsOf(rows, this.log);
    const least = this.log && this.variable.span ? high / this.variable.span : -Infinity;
    const counted = rows.map((row) => row.filter((value) => value >= least));
    return fixedLimits(limitsOf(counted, this.log), this.state.vmin, this.state.vmax, this.log);
  }

  /**
   * Make a function from a value to its place on the colour scale; NaN if it has none, and for layers also
   * below the start of a logarithmic scale.
   * @param {Limits} limits
   * @returns {(value: number) => number}
   */
  placeOf(limits) {
    const place = scaleOf(limits, this.log);
    if (!this.log || !this.variable.span) return place;
    return (value) => (value < limits[0] ? NaN : place(value));
  }

  get hasFixedLimits() {
    return (this.state.vmin ?? null) !== null || (this.state.vmax ?? null) !== null;
  }

  // Thresholds and stops

  /** Numbers that are compared with the threshold. @param {Panel} panel */
  comparedTable(panel) {
    return this.rule ? panel.exits[this.rule.name] : panel.variables[this.variable.name];
  }

  /** @param {Panel} panel @param {number} row */
  comparedValues(panel, row) {
    return this.rowValues(panel, this.comparedTable(panel), row);
  }

  get hasDefaultThreshold() {
    return (this.state.threshold ?? null) === null;
  }

  /** @param {Panel} panel @param {number} row */
  thresholdOf(panel, row) {
    if (!this.hasDefaultThreshold) return Number(this.state.threshold);
    if (this.rule) return this.rule.threshold;
    return DEFAULT_SHARE * (this.comparedValues(panel, row).find((value) => !Number.isNaN(value)) ?? NaN);
  }

  /**
   * Column at which a row settles, or exits by the rule; null if it does not.
   * @param {Panel} panel
   * @param {number} row
   */
  stopOf(panel, row) {
    const [values, threshold] = [this.comparedValues(panel, row), this.thresholdOf(panel, row)];
    if (this.rule) return exitColumn(values, this.rule, threshold);
    return settledColumn(values, threshold, panel.limit);
  }

  get thresholdIsLog() {
    return this.rule ? !this.rule.counts : this.log;
  }

  /** Ends of the threshold's slider: the range of all compared numbers. @returns {Limits} */
  thresholdLimits() {
    const [panel] = this.data.panels;
    if (this.rule?.counts) return [1, panel.columns.length - 1];
    const [low, high] = limitsOf([this.comparedTable(panel)], this.thresholdIsLog);
    return this.thresholdIsLog ? [low / 2, high * 2] : [low, high];
  }
}

/**
 * Find the index of the value that is nearest to a wanted one.
 * @param {number[]} values
 * @param {number} wanted
 */
export function nearestIndex(values, wanted) {
  let best = 0;
  values.forEach((value, index) => {
    if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = index;
  });
  return best;
}

/**
 * Limit a number to a range.
 * @param {number} value @param {number} low @param {number} high
 */
export function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
