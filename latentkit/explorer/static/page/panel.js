// The pictures of one trace: a heatmap, and below it the curve of the chosen row.

import { context2d, font, layOut, prepare } from "../canvas/canvas.js";
import { BAR_HEIGHT, BAR_WIDTH, drawBarAtRight, drawBarBelow } from "../canvas/colourbar.js";
import { drawCurve } from "../canvas/curve.js";
import { drawCells, drawCursor, drawStops, paintCells } from "../canvas/heatmap.js";
import { columnName, labelWithUnits, pictureTitle, rowName } from "../trace/captions.js";
import { limitsOf } from "../trace/scale.js";
import { clamp } from "../trace/view.js";
import { make } from "./dom.js";

/**
 * @import { Box, Context, Theme } from "../canvas/canvas.js"
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
    this.pixels = make("canvas"); // one pixel for each cell
    this.background = make("canvas"); // all but the cursor
    this.key = "";
    /** @type {number[]} */
    this.rows = [];
    /** @type {Box | null} */
    this.box = null;
    /** @type {Box | null} */
    this.curveBox = null;
    /** @type {Labels | null} */
    this.labels = null;
    /** @type {Curve | null} */
    this.curveShown = null;
    /** @type {Frame | null} */
    this.frame = null;
  }

  /** @returns {Panel} */
  get panel() {
    return this.view.data.panels[this.index];
  }

  /** Size of all pictures, in CSS pixels. */
  get size() {
    const [above, below] = [this.box, this.view.hasTokens ? this.curveBox : null];
    const height = (above?.canvasHeight ?? 0) + (below?.canvasHeight ?? 0);
    return { width: above?.canvasWidth ?? 0, height };
  }

  /**
   * @param {Frame} frame
   * @param {{ row: number, column: number }} shown Cell of the curve: under the pointer, else the chosen one.
   */
  paint(frame, shown) {
    const { view, panel } = this;
    const ratio = window.devicePixelRatio || 1;
    this.frame = frame;
    this.paintBackground(frame, ratio);
    if (!this.box || !this.labels) return;
    const { box, labels } = this;
    const pen = prepare(this.cells, box, ratio);
    pen.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
    pen.drawImage(this.background, 0, 0, box.canvasWidth, box.canvasHeight);
    this.drawCursorOn(pen, frame);
    if (view.hasTokens) this.paintCurve(frame, box, shown, ratio);
    const [row, column] = [view.rowOf(panel), view.columnOf(panel)];
    const count = `${this.rows.length} ${view.data.rowPlural.toLowerCase()} from top to bottom`;
    const where = `${rowName(view, panel, row)}, ${columnName(view, panel, column)}`;
    const label = `${labels.title}: ${count}. Arrow keys move the cursor; now at ${where}.`;
    this.cells.setAttribute("aria-label", label);
  }

  /** Draw all pictures, one below the other. @param {Context} pen */
  drawOn(pen) {
    if (!this.box || !this.frame) return;
    this.drawBackground(pen, this.frame);
    this.drawCursorOn(pen, this.frame);
    if (!this.curveBox || !this.curveShown) return;
    pen.translate(0, this.box.canvasHeight);
    drawCurve(pen, this.curveBox, this.curveShown, this.frame.theme);
  }

  /** @param {Context} pen @param {Frame} frame */
  drawCursorOn(pen, { theme }) {
    const { view, panel, box, labels } = this;
    const place = this.rows.indexOf(view.rowOf(panel));
    if (box && labels && place >= 0) {
      drawCursor(pen, box, view.columnOf(panel), place, labels, theme);
    }
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
    if (!this.box) return;
    const { colours, variable } = view;
    const table = panel.variables[variable.name];
    const blank = [1, 3, 5].map((at) => Number.parseInt(frame.theme.blank.slice(at, at + 2), 16));
    const place = view.placeOf(frame.limits);
    paintCells(this.pixels, table, panel.columns.length, rows, colours, place, blank);
    this.drawBackground(prepare(this.background, this.box, ratio), frame);
  }

  /** Draw all but the cursor. @param {Context} pen @param {Frame} frame */
  drawBackground(pen, frame) {
    const { view, panel, box, labels, rows } = this;
    if (!box || !labels) return;
    const { colours, log, variable } = view;
    drawCells(pen, box, this.pixels, labels, frame.theme);
    if (view.hasTokens)
      drawStops(
        pen,
        box,
        rows.map((row) => view.stopOf(panel, row)),
      );
    const bar = { colours, limits: frame.limits, log, label: labelWithUnits(variable) };
    if (frame.bar === "right") drawBarAtRight(pen, box, bar, frame.theme);
    if (frame.bar === "below") drawBarBelow(pen, box, bar, frame.theme);
  }

  /** @param {Frame} frame */
  layOut({ width, bar }) {
    const { view, panel, rows } = this;
    const names = rows.map((row) => ({ label: panel.labels[row], number: panel.numbers[row] }));
    const pen = context2d(this.background);
    pen.font = font(12, "700"); // as wide as under the cursor
    const widest = Math.max(...names.map(({ label }) => pen.measureText(label).width));
    const { columns, columnLabels } = panel;
    const title = pictureTitle(view, panel);
    const { axis } = view.data;
    const numbers = names.some(({ label, number }) => label !== String(number)) ? NUMBERS : 12;
    this.labels = { title, rows: names, columns, columnLabels, axis, untrained: panel.untrained ?? -1 };
    this.box = layOut({
      width: width + (bar === "right" ? BAR_WIDTH : 0),
      rows: rows.length,
      columns: columns.length,
      left: clamp(widest + 16, 56, Math.min(170, width / 3)),
      right: numbers + (bar === "right" ? BAR_WIDTH : 0),
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
    this.curveShown = curve;
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
  const isChosen = row === view.rowOf(panel);
  const chosen = isChosen ? null : view.comparedValues(panel, view.rowOf(panel));
  const threshold = view.thresholdOf(panel, row);
  const log = view.thresholdIsLog;
  const [low, high] = limitsOf([values, chosen ?? [], [threshold]], log);
  const edge = 0.05 * (high - low);
  const what = view.rule ? `numbers of ${view.rule.name}` : view.variable.label;
  return {
    values,
    chosen,
    threshold,
    log,
    limits: log ? [low / 1.3, high * 1.3] : [low - edge, high + edge],
    stop: view.stopOf(panel, row),
    column,
    label: `${rowName(view, panel, row)}: ${what}${log ? ", log scale" : ""}`,
  };
}
