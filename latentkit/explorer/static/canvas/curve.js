// The curve of one row: its numbers over the columns, the threshold, and the column at which it stops.

import { formatTick } from "../trace/format.js";
import { scaleOf, ticks } from "../trace/scale.js";
import { fitted, font } from "./canvas.js";

/**
 * @import { Box, Theme } from "./canvas.js"
 * @import { Limits } from "../trace/scale.js"
 */

/**
 * @typedef {object} Curve
 * @property {Float32Array} values
 * @property {Limits} limits
 * @property {boolean} log
 * @property {number} threshold
 * @property {number | null} stop Column.
 * @property {number} column The chosen one.
 * @property {string} label
 */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Curve} curve
 * @param {Theme} theme
 */
export function drawCurve(context, box, curve, theme) {
  const { values, limits, log, threshold, stop, column, label } = curve;
  const place = scaleOf(limits, log);
  const yOf = (/** @type {number} */ value) => box.bottom - place(value) * box.height;
  context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  drawGrid(context, box, curve, yOf, theme);
  context.textAlign = "left";
  context.font = font(12);
  context.fillText(fitted(context, label, box.width), box.left, box.top - 11);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 2, box.width, box.height + 4);
  context.clip();
  if (stop !== null) drawStop(context, box, stop, theme);
  drawLine(context, box, values, yOf, theme);
  context.fillStyle = theme.threshold;
  for (let x = box.left; x < box.right; x += 9) context.fillRect(x, yOf(threshold) - 1, 6, 2);
  context.restore();
  drawHandle(context, box.right, Math.max(box.top, Math.min(box.bottom, yOf(threshold))), theme);
  drawMarker(context, box, column, yOf(values[column]), theme);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Curve} curve
 * @param {(value: number) => number} yOf
 * @param {Theme} theme
 */
function drawGrid(context, box, { limits, log }, yOf, theme) {
  context.font = font(10);
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const value of ticks(limits, log, 4)) {
    context.fillStyle = theme.grid;
    context.fillRect(box.left, yOf(value) - 0.5, box.width, 1);
    context.fillStyle = theme.text;
    context.fillText(formatTick(value, log), box.left - 7, yOf(value));
  }
}

/**
 * Shade the columns after the stop.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} stop
 * @param {Theme} theme
 */
function drawStop(context, box, stop, theme) {
  const x = box.xOf(stop);
  context.fillStyle = theme.band;
  context.fillRect(x, box.top, box.right - x, box.height);
  context.fillStyle = theme.threshold;
  context.fillRect(x - 1, box.top, 2, box.height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Float32Array} values
 * @param {(value: number) => number} yOf
 * @param {Theme} theme
 */
function drawLine(context, box, values, yOf, theme) {
  context.beginPath();
  let isDrawing = false;
  values.forEach((value, column) => {
    const y = yOf(value);
    const isKnown = Number.isFinite(y);
    if (isKnown && isDrawing) context.lineTo(box.xOf(column), y);
    else if (isKnown) context.moveTo(box.xOf(column), y);
    isDrawing = isKnown;
  });
  context.strokeStyle = theme.line;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.stroke();
}

/**
 * Draw the handle of the threshold at the right end.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {Theme} theme
 */
function drawHandle(context, x, y, theme) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + 7, y - 6);
  context.lineTo(x + 20, y - 6);
  context.lineTo(x + 20, y + 6);
  context.lineTo(x + 7, y + 6);
  context.closePath();
  context.fillStyle = theme.threshold;
  context.fill();
}

/**
 * Mark the chosen column and its value.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} column
 * @param {number} y
 * @param {Theme} theme
 */
function drawMarker(context, box, column, y, theme) {
  context.fillStyle = theme.text;
  context.fillRect(box.xOf(column) - 0.75, box.top, 1.5, box.height);
  if (!Number.isFinite(y)) return;
  context.beginPath();
  context.arc(box.xOf(column), y, 4.5, 0, 7);
  context.fillStyle = theme.chip;
  context.fill();
  context.strokeStyle = theme.chipText;
  context.lineWidth = 1.5;
  context.stroke();
}
