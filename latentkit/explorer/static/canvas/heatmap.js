// A heatmap: cells, labels, ticks, marks of the stops, and the cursor.

import { ticks } from "../trace/scale.js";
import { context2d, fitted, font } from "./canvas.js";
import { labelledPlaces } from "./labels.js";

/** @import { Box, Theme } from "./canvas.js" */

/**
 * @typedef {object} Labels Texts of a heatmap.
 * @property {string} title
 * @property {{ label: string, number: number }[]} rows Texts on the left and numbers on the right.
 * @property {number[]} columns
 * @property {string[] | null} columnLabels
 * @property {string} axis
 */

const CURSOR_LABEL = 16; // height in pixels

/**
 * Paint one pixel for each cell [row, column]; a cell without a place on the scale stays transparent.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values
 * @param {number} columns
 * @param {number[]} rows
 * @param {Uint8Array} colours
 * @param {(value: number) => number} place
 */
export function paintCells(canvas, values, columns, rows, colours, place) {
  Object.assign(canvas, { width: columns, height: rows.length });
  const context = context2d(canvas);
  const image = context.createImageData(columns, rows.length);
  let at = 0;
  for (const row of rows) {
    for (let column = 0; column < columns; column++, at += 4) {
      const where = place(values[row * columns + column]);
      if (Number.isNaN(where)) continue;
      const step = 3 * Math.max(0, Math.min(255, Math.floor(where * 256)));
      image.data.set(colours.subarray(step, step + 3), at);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Size of the letters of row labels. @param {Box} box */
function letterSize({ rowHeight }) {
  return Math.min(12, Math.max(9, rowHeight - 1));
}

/** @param {Box} box @param {Labels} labels */
function labelled(box, labels) {
  const positions = labels.rows.map(({ number }) => number);
  return labelledPlaces(positions, box.rowHeight, letterSize(box) + 1);
}

/**
 * Draw cells, labels on the left, numbers on the right, ticks below.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {HTMLCanvasElement} cells From `paintCells`.
 * @param {Labels} labels
 * @param {Theme} theme
 */
export function drawCells(context, box, cells, labels, theme) {
  context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  context.fillStyle = theme.blank;
  context.fillRect(box.left, box.top, box.width, box.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, box.left, box.top, box.width, box.height);
  context.fillStyle = theme.text;
  context.textBaseline = "middle";
  context.font = font(13, "600");
  context.textAlign = "left";
  context.fillText(fitted(context, labels.title, box.canvasWidth - box.left), box.left, 12);
  drawRowLabels(context, box, labels, theme);
  drawColumnTicks(context, box, labels, theme);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawRowLabels(context, box, labels, theme) {
  context.font = font(letterSize(box));
  for (const place of labelled(box, labels)) {
    const { label, number } = labels.rows[place];
    const y = box.yOf(place);
    context.textAlign = "right";
    context.fillStyle = theme.text;
    context.fillText(fitted(context, label, box.left - 12), box.left - 7, y);
    context.textAlign = "left";
    context.fillStyle = theme.soft;
    context.fillText(String(number), box.right + 5, y);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawColumnTicks(context, box, { columns, columnLabels, axis }, theme) {
  context.font = font(11);
  context.textAlign = "center";
  context.fillStyle = theme.text;
  for (const column of columnTicks(box, columns, columnLabels)) {
    const x = box.xOf(column);
    context.fillRect(x - 0.5, box.bottom, 1, 4);
    const label = columnLabels?.[column];
    const text = label ? fitted(context, label, box.columnWidth - 4) : String(columns[column]);
    context.fillText(text, x, box.bottom + 12);
  }
  context.fillStyle = theme.soft;
  context.fillText(axis, box.left + box.width / 2, box.bottom + 27);
}

/** @param {Box} box @param {number[]} columns @param {string[] | null} labels */
function columnTicks(box, columns, labels) {
  if (labels || columns.length === 1) return columns.map((_, column) => column);
  const room = Math.max(2, Math.floor(box.width / 44));
  const wanted = ticks([columns[0], columns[columns.length - 1]], false, room);
  return wanted.map((value) => columns.indexOf(value)).filter((column) => column >= 0);
}

/**
 * Mark where each row stops, dark with a light edge, so that it shows on every colour.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {(number | null)[]} stops Columns.
 */
export function drawStops(context, box, stops) {
  const size = Math.max(2, Math.min(4, box.rowHeight / 3));
  stops.forEach((column, place) => {
    if (column === null) return;
    const [x, y] = [box.xOf(column), box.yOf(place)];
    context.beginPath();
    context.moveTo(x - size, y - size);
    context.lineTo(x + size, y);
    context.lineTo(x - size, y + size);
    context.closePath();
    context.fillStyle = "#000";
    context.strokeStyle = "#fff";
    context.lineWidth = 1.2;
    context.stroke();
    context.fill();
  });
}

/**
 * Draw the cursor: a frame round its column and its cell, and the labels of its row in bold.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} column
 * @param {number} place
 * @param {Labels} labels
 * @param {Theme} theme
 */
export function drawCursor(context, box, column, place, labels, theme) {
  const [x, y] = [box.left + column * box.columnWidth, box.top + place * box.rowHeight];
  const [wide, high] = [Math.max(box.columnWidth, 4), Math.max(box.rowHeight, 4)];
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    ["#000", 3],
    ["#fff", 1.2],
  ])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(x, box.top, box.columnWidth, box.height);
    const [left, top] = [x + (box.columnWidth - wide) / 2 - 1, y + (box.rowHeight - high) / 2 - 1];
    context.strokeRect(left, top, wide + 2, high + 2);
  }
  clearCoveredLabels(context, box, place, labels);
  drawCursorLabels(context, box, place, labels, theme);
}

/**
 * Remove labels that the cursor's label would cover in part.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} place
 * @param {Labels} labels
 */
function clearCoveredLabels(context, box, place, labels) {
  const height = letterSize(box) + 2;
  for (const other of labelled(box, labels)) {
    const y = box.yOf(other);
    if (Math.abs(y - box.yOf(place)) >= (CURSOR_LABEL + height) / 2 - 1) continue;
    context.clearRect(0, y - height / 2, box.left - 2, height);
    context.clearRect(box.right + 3, y - height / 2, 38, height);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} place
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawCursorLabels(context, box, place, { rows }, theme) {
  const { label, number } = rows[place];
  const middle = box.yOf(place);
  context.font = font(12, "700");
  context.textBaseline = "middle";
  const parts = /** @type {[string, CanvasTextAlign, number, number][]} */ ([
    [label, "right", box.left - 7, box.left - 12],
    [String(number), "left", box.right + 5, 60],
  ]);
  for (const [text, align, at, room] of parts) {
    context.textAlign = align;
    const shown = fitted(context, text, room);
    const width = context.measureText(shown).width + 6;
    context.fillStyle = theme.chip;
    const left = align === "right" ? at - width + 3 : at - 3;
    context.fillRect(left, middle - CURSOR_LABEL / 2, width, CURSOR_LABEL);
    context.fillStyle = theme.chipText;
    context.fillText(shown, at, middle);
  }
}
