// The pictures of one trace: a heatmap, and below it the curve of the chosen row.

import { context2d, font, layOut, prepare } from "../canvas/canvas.js";
import { BAR_HEIGHT, BAR_WIDTH, drawBarAtRight, drawBarBelow } from "../canvas/colourbar.js";
import { drawCurve } from "../canvas/curve.js";
import { drawCells, drawCursor, drawStops, paintCells } from "../canvas/heatmap.js";
import { columnName, labelWithUnits, pictureTitle, rowName } from "../trace/captions.js";
import { limitsOf, scaleOf } from "../trace/scale.js";
import { clamp } from "../trace/view.js";
import { make } from "./dom.js";

/**
 * @import { Box, Theme } from "../canvas/canvas.js"
 * @import { Curve } from "../canvas/curve.js"
 * @import { Labels } from "../canvas/heatmap.js"
 * @import { Panel } from "../trace/data.js"
 * @import { Limits } from "../trace/scale.js"
 * @import { View } from "../trace/view.js"
 */

/**
 * @typedef {object} Frame What all panels share in one frame.
 * @property {Theme} theme
 * @property {Limits} limits Of the colours.
 * @property {number} version Of the data.
 * @property {number} width Of the heatmap with its labels, in CSS pixels.
 * @property {"right" | "below" | null} bar Where this panel has the colour bar.
 */

const TALLEST = 680; // pixels of all rows together
const NUMBERS = 42; // room for the numbers on the right
const AXIS = 36; // room for ticks and the axis below
const CURVE = 110; // height of the curve

export class PanelPictures {
  /** @param {View} view @param {number} index */
  constructor(view, index) {
    this.view = view;
    this.index = index;
    const role = { role: "application", "aria-roledescription": "heatmap" };
    this.cells = make("canvas", { class: "lk-cells", tabindex: "0", ...role });
    this.curve = make("canvas", { class: "lk-curve", role: "img" });
    this.handle = make("span", { class: "lk-handle", "aria-hidden": "true" });
    this.plot = make("div", { class: "lk-plot" }, this.curve, this.handle);
    this.element = make("div", { class: "lk-panel" }, this.cells, ...(view.hasTokens ? [this.plot] : []));
    this.pixels = document.createElement("canvas"); // one pixel for each cell
    this.background = document.createElement("canvas"); // all but the cursor
    this.key = "";
    /** @type {number[]} */
    this.rows = [];
    /** @type {Box | null} */
    this.box = null;
    /** @type {Box | null} */
    this.curveBox = null;
    /** @type {Labels | null} */
    this.labels = null;
    /** @type {{ limits: Limits, log: boolean } | null} */
    this.curveScale = null;
  }

  /** @returns {Panel} */
  get panel() {
    return this.view.data.panels[this.index];
  }

  /** Canvases from top to bottom. */
  get canvases() {
    return this.view.hasTokens ? [this.cells, this.curve] : [this.cells];
  }

  /**
   * @param {Frame} frame
   * @param {{ row: number, column: number }} shown Cell of the curve: under the pointer, else the chosen one.
   */
  paint(frame, shown) {
    const { view, panel } = this;
    const ratio = window.devicePixelRatio || 1;
    this.paintBackground(frame, ratio);
    if (!this.box || !this.labels) return;
    const { box, labels } = this;
    const context = prepare(this.cells, box, ratio);
    context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
    context.drawImage(this.background, 0, 0, box.canvasWidth, box.canvasHeight);
    const [row, column] = [view.rowOf(panel), view.columnOf(panel)];
    const place = this.rows.indexOf(row);
    if (place >= 0) drawCursor(context, box, column, place, labels, frame.theme);
    if (view.hasTokens) this.paintCurve(frame, box, shown, ratio);
    const count = `${this.rows.length} ${view.data.rowPlural.toLowerCase()} from top to bottom`;
    const where = `${rowName(view, panel, row)}, ${columnName(view, panel, column)}`;
    const label = `${labels.title}: ${count}. Arrow keys move the cursor; now at ${where}.`;
    this.cells.setAttribute("aria-label", label);
  }

  /**
   * Paint all but the cursor, if anything of it changed.
   * @param {Frame} frame
   * @param {number} ratio
   */
  paintBackground(frame, ratio) {
    const { view, panel } = this;
    const { state } = view;
    const rows = view.rowsShown(panel);
    const ends = [rows[0], rows[rows.length - 1]];
    const choices = [view.variable.name, view.colourMap, view.log, state.criterion, state.threshold];
    const key = JSON.stringify([frame, choices, ends, ratio]);
    if (this.key === key) return;
    Object.assign(this, { key, rows });
    this.layOut(frame);
    if (!this.box || !this.labels) return;
    const { box, labels } = this;
    const { colours, log, variable } = view;
    const table = panel.variables[variable.name];
    paintCells(this.pixels, table, panel.columns.length, rows, colours, scaleOf(frame.limits, log));
    const context = prepare(this.background, box, ratio);
    drawCells(context, box, this.pixels, labels, frame.theme);
    if (view.hasTokens)
      drawStops(
        context,
        box,
        rows.map((row) => view.stopOf(panel, row)),
      );
    const bar = { colours, limits: frame.limits, log, label: labelWithUnits(variable) };
    if (frame.bar === "right") drawBarAtRight(context, box, bar, frame.theme);
    if (frame.bar === "below") drawBarBelow(context, box, bar, frame.theme);
  }

  /** @param {Frame} frame */
  layOut({ width, bar }) {
    const { view, panel, rows } = this;
    const names = rows.map((row) => ({ label: panel.labels[row], number: panel.numbers[row] }));
    const context = context2d(this.background);
    context.font = font(12, "700"); // as wide as under the cursor
    const widest = Math.max(...names.map(({ label }) => context.measureText(label).width));
    const { columns, columnLabels } = panel;
    const title = pictureTitle(view, panel);
    this.labels = { title, rows: names, columns, columnLabels, axis: view.data.axis };
    this.box = layOut({
      width: width + (bar === "right" ? BAR_WIDTH : 0),
      rows: rows.length,
      columns: columns.length,
      left: clamp(widest + 16, 56, Math.min(170, width / 3)),
      right: NUMBERS + (bar === "right" ? BAR_WIDTH : 0),
      below: AXIS + (bar === "below" ? BAR_HEIGHT : 0),
      rowHeight: Math.min(22, TALLEST / rows.length),
    });
  }

  /**
   * @param {Frame} frame
   * @param {Box} box
   * @param {{ row: number, column: number }} cell
   * @param {number} ratio
   */
  paintCurve({ theme }, { left, right, canvasWidth }, { row, column }, ratio) {
    const { view, panel } = this;
    const curve = curveOf(view, panel, row, column);
    const columns = panel.columns.length;
    const sides = { left, right: canvasWidth - right, below: 6, rowHeight: CURVE };
    this.curveBox = layOut({ width: canvasWidth, rows: 1, columns, ...sides });
    this.curveScale = { limits: curve.limits, log: curve.log };
    drawCurve(prepare(this.curve, this.curveBox, ratio), this.curveBox, curve, theme);
    this.handle.style.left = `${right - 6}px`;
    const { stop } = curve;
    const where = stop === null ? "No stop." : `Stop at ${columnName(view, panel, stop)}.`;
    this.curve.setAttribute("aria-label", `${curve.label}. ${where}`);
  }
}

/**
 * @param {View} view
 * @param {Panel} panel
 * @param {number} row
 * @param {number} column
 * @returns {Curve}
 */
function curveOf(view, panel, row, column) {
  const values = view.comparedValues(panel, row);
  const threshold = view.thresholdOf(panel, row);
  const log = view.thresholdIsLog;
  const [low, high] = limitsOf([values, [threshold]], log);
  const edge = 0.05 * (high - low);
  const what = view.rule ? `numbers of ${view.rule.name}` : view.variable.label;
  return {
    values,
    threshold,
    log,
    limits: log ? [low / 1.3, high * 1.3] : [low - edge, high + edge],
    stop: view.stopOf(panel, row),
    column,
    label: `${rowName(view, panel, row)}: ${what}${log ? ", log scale" : ""}`,
  };
}
