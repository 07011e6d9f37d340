// The curve of one row: its numbers over the columns, the threshold, and the column at which it stops.

import { formatTick } from "../trace/format.js";
import { scaleOf, ticks } from "../trace/scale.js";
import { fitted, font } from "./canvas.js";

/**
 * @import { Box, Context, Theme } from "./canvas.js"
 * @import { Limits } from "../trace/scale.js"
 */

/**
 * @typedef {object} Curve
 * @property {Float32Array} values
 * @property {Float32Array | null} chosen Values of the chosen row if another one is under the pointer.
 * @property {Limits} limits
 * @property {boolean} log
 * @property {number} threshold
 * @property {number | null} stop Column.
 * @property {number} column The chosen one.
 * @property {string} label
 */

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {Curve} curve
 * @param {Theme} theme
 */
export function drawCurve(pen, box, curve, theme) {
  const { values, chosen, limits, log, threshold, stop, column, label } = curve;
  const place = scaleOf(limits, log);
  const yOf = (/** @type {number} */ value) => box.bottom - place(value) * box.height;
  pen.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  drawGrid(pen, box, curve, yOf, theme);
  pen.textAlign = "left";
  pen.font = font(12);
  pen.fillText(fitted(pen, label, box.width), box.left, box.top - 11);
  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top - 2, box.width, box.height + 4);
  pen.clip();
  if (stop !== null) drawStop(pen, box, stop, theme);
  if (chosen) drawLine(pen, box, chosen, yOf, theme.control, 1);
  drawLine(pen, box, values, yOf, theme.line, 2);
  pen.fillStyle = theme.threshold;
  for (let x = box.left; x < box.right; x += 9) pen.fillRect(x, yOf(threshold) - 1, 6, 2);
  pen.restore();
  drawHandle(pen, box.right, Math.max(box.top, Math.min(box.bottom, yOf(threshold))), theme);
  drawMarker(pen, box, column, yOf(values[column]), theme);
}

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {Curve} curve
 * @param {(value: number) => number} yOf
 * @param {Theme} theme
 */
function drawGrid(pen, box, { limits, log }, yOf, theme) {
  pen.font = font(10);
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const value of ticks(limits, log, 4)) {
    pen.fillStyle = theme.grid;
    pen.fillRect(box.left, yOf(value) - 0.5, box.width, 1);
    pen.fillStyle = theme.text;
    pen.fillText(formatTick(value, log), box.left - 7, yOf(value));
  }
}

/**
 * Shade the columns after the stop.
 * @param {Context} pen
 * @param {Box} box
 * @param {number} stop
 * @param {Theme} theme
 */
function drawStop(pen, box, stop, theme) {
  const x = box.xOf(stop);
  pen.fillStyle = theme.band;
  pen.fillRect(x, box.top, box.right - x, box.height);
  pen.fillStyle = theme.threshold;
  pen.fillRect(x - 1, box.top, 2, box.height);
}

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {Float32Array} values
 * @param {(value: number) => number} yOf
 * @param {string} colour
 * @param {number} width
 */
function drawLine(pen, box, values, yOf, colour, width) {
  pen.beginPath();
  let isDrawing = false;
  values.forEach((value, column) => {
    const y = yOf(value);
    const isKnown = Number.isFinite(y);
    if (isKnown && isDrawing) pen.lineTo(box.xOf(column), y);
    else if (isKnown) pen.moveTo(box.xOf(column), y);
    isDrawing = isKnown;
  });
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.lineJoin = "round";
  pen.stroke();
}

/**
 * Draw the handle of the threshold at the right end.
 * @param {Context} pen
 * @param {number} x
 * @param {number} y
 * @param {Theme} theme
 */
function drawHandle(pen, x, y, theme) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + 7, y - 6);
  pen.lineTo(x + 20, y - 6);
  pen.lineTo(x + 20, y + 6);
  pen.lineTo(x + 7, y + 6);
  pen.closePath();
  pen.fillStyle = theme.threshold;
  pen.fill();
}

/**
 * Mark the chosen column and its value.
 * @param {Context} pen
 * @param {Box} box
 * @param {number} column
 * @param {number} y
 * @param {Theme} theme
 */
function drawMarker(pen, box, column, y, theme) {
  pen.fillStyle = theme.text;
  pen.fillRect(box.xOf(column) - 0.75, box.top, 1.5, box.height);
  if (!Number.isFinite(y)) return;
  pen.beginPath();
  pen.arc(box.xOf(column), y, 4.5, 0, 7);
  pen.fillStyle = theme.chip;
  pen.fill();
  pen.strokeStyle = theme.chipText;
  pen.lineWidth = 1.5;
  pen.stroke();
}
