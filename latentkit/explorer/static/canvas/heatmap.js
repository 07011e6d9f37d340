// A heatmap: cells, labels, ticks, marks of the stops, and the cursor.

import { ticks } from "../trace/scale.js";
import { context2d, fitted, font } from "./canvas.js";
import { labelledPlaces } from "./labels.js";

/** @import { Box, Context, Theme } from "./canvas.js" */

/**
 * @typedef {object} Labels Texts of a heatmap.
 * @property {string} title
 * @property {{ label: string, number: number }[]} rows Texts on the left and numbers on the right.
 * @property {number[]} columns
 * @property {string[] | null} columnLabels
 * @property {string} axis
 * @property {number} untrained First column beyond the iterations in training; -1 if there is none.
 */

const CURSOR_LABEL = 16; // height in pixels
const NAMED = 46; // pixels between two columns with names, such as "Gen10"

/**
 * Paint one pixel for each cell [row, column]. An unknown cell stays transparent; one without a place on the
 * scale is blank.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values
 * @param {number} columns
 * @param {number[]} rows
 * @param {Uint8Array} colours
 * @param {(value: number) => number} place
 * @param {number[]} blank Red, green and blue.
 */
export function paintCells(canvas, values, columns, rows, colours, place, blank) {
  Object.assign(canvas, { width: columns, height: rows.length });
  const pen = context2d(canvas);
  const image = pen.createImageData(columns, rows.length);
  let at = 0;
  for (const row of rows) {
    for (let column = 0; column < columns; column++, at += 4) {
      const value = values[row * columns + column];
      if (Number.isNaN(value)) continue;
      const where = place(value);
      const step = 3 * Math.max(0, Math.min(255, Math.floor(where * 256)));
      image.data.set(Number.isNaN(where) ? blank : colours.subarray(step, step + 3), at);
      image.data[at + 3] = 255;
    }
  }
  pen.putImageData(image, 0, 0);
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
 * Draw the background of unknown cells.
 * @param {Context} pen
 * @param {Box} box
 * @param {Theme} theme
 */
function drawStripes(pen, { left, top, width, height }, theme) {
  pen.fillStyle = theme.back;
  pen.fillRect(left, top, width, height);
  pen.fillStyle = theme.edge;
  for (let y = top + 2; y < top + height; y += 4) pen.fillRect(left, y, width, 1);
}

/**
 * Draw cells, labels on the left, numbers on the right, ticks below.
 * @param {Context} pen
 * @param {Box} box
 * @param {HTMLCanvasElement} cells From `paintCells`.
 * @param {Labels} labels
 * @param {Theme} theme
 */
export function drawCells(pen, box, cells, labels, theme) {
  pen.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  drawStripes(pen, box, theme);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(cells, box.left, box.top, box.width, box.height);
  pen.fillStyle = theme.text;
  pen.textBaseline = "middle";
  pen.font = font(13, "600");
  pen.textAlign = "left";
  pen.fillText(fitted(pen, labels.title, box.canvasWidth - box.left), box.left, 12);
  drawRowLabels(pen, box, labels, theme);
  drawColumnTicks(pen, box, labels, theme);
  if (labels.untrained >= 0) drawUntrained(pen, box, labels.untrained);
}

/**
 * Draw a dashed line before the first column beyond training, light on dark, so that it shows on every colour.
 * @param {Context} pen
 * @param {Box} box
 * @param {number} column
 */
function drawUntrained(pen, box, column) {
  const x = box.left + column * box.columnWidth - 1;
  for (let y = box.top, step = 0; y < box.bottom; y += 4, step++) {
    pen.fillStyle = step % 2 ? "#000" : "#fff";
    pen.fillRect(x, y, 2, Math.min(4, box.bottom - y));
  }
}

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawRowLabels(pen, box, labels, theme) {
  pen.font = font(letterSize(box));
  for (const place of labelled(box, labels)) {
    const { label, number } = labels.rows[place];
    const y = box.yOf(place);
    pen.textAlign = "right";
    pen.fillStyle = theme.text;
    pen.fillText(fitted(pen, label, box.left - 12), box.left - 7, y);
    if (label === String(number)) continue;
    pen.textAlign = "left";
    pen.fillStyle = theme.soft;
    pen.fillText(String(number), box.right + 5, y);
  }
}

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawColumnTicks(pen, box, { columns, columnLabels, axis }, theme) {
  pen.font = font(11);
  pen.textAlign = "center";
  pen.fillStyle = theme.text;
  const every = Math.ceil(NAMED / box.columnWidth);
  for (const column of columnTicks(box, columns, columnLabels, every)) {
    const x = box.xOf(column);
    pen.fillRect(x - 0.5, box.bottom, 1, 4);
    const label = columnLabels?.[column];
    const text = label ? fitted(pen, label, every * box.columnWidth - 4) : String(columns[column]);
    pen.fillText(text, x, box.bottom + 12);
  }
  pen.fillStyle = theme.soft;
  pen.fillText(axis, box.left + box.width / 2, box.bottom + 27);
}

/** @param {Box} box @param {number[]} columns @param {string[] | null} labels @param {number} every */
function columnTicks(box, columns, labels, every) {
  const all = columns.map((_, column) => column);
  if (labels || columns.length === 1) return all.filter((column) => column % every === 0);
  const room = Math.max(2, Math.floor(box.width / 44));
  const wanted = ticks([columns[0], columns[columns.length - 1]], false, room);
  return wanted.map((value) => columns.indexOf(value)).filter((column) => column >= 0);
}

/**
 * Mark where each row stops, dark with a light edge, so that it shows on every colour.
 * @param {Context} pen
 * @param {Box} box
 * @param {(number | null)[]} stops Columns.
 */
export function drawStops(pen, box, stops) {
  const size = Math.max(2, Math.min(4, box.rowHeight / 3));
  stops.forEach((column, place) => {
    if (column === null) return;
    const [x, y] = [box.xOf(column), box.yOf(place)];
    pen.beginPath();
    pen.moveTo(x - size, y - size);
    pen.lineTo(x + size, y);
    pen.lineTo(x - size, y + size);
    pen.closePath();
    pen.fillStyle = "#000";
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1.2;
    pen.stroke();
    pen.fill();
  });
}

/**
 * Draw the cursor: a frame round its column and its cell, and the labels of its row in bold.
 * @param {Context} pen
 * @param {Box} box
 * @param {number} column
 * @param {number} place
 * @param {Labels} labels
 * @param {Theme} theme
 */
export function drawCursor(pen, box, column, place, labels, theme) {
  const [x, y] = [box.left + column * box.columnWidth, box.top + place * box.rowHeight];
  const [wide, high] = [Math.max(box.columnWidth, 4), Math.max(box.rowHeight, 4)];
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    ["#000", 3],
    ["#fff", 1.2],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(x, box.top, box.columnWidth, box.height);
    const [left, top] = [x + (box.columnWidth - wide) / 2 - 1, y + (box.rowHeight - high) / 2 - 1];
    pen.strokeRect(left, top, wide + 2, high + 2);
  }
  clearCoveredLabels(pen, box, place, labels);
  drawCursorLabels(pen, box, place, labels, theme);
}

/**
 * Remove labels that the cursor's label would cover in part.
 * @param {Context} pen
 * @param {Box} box
 * @param {number} place
 * @param {Labels} labels
 */
function clearCoveredLabels(pen, box, place, labels) {
  const height = letterSize(box) + 2;
  for (const other of labelled(box, labels)) {
    const y = box.yOf(other);
    if (Math.abs(y - box.yOf(place)) >= (CURSOR_LABEL + height) / 2 - 1) continue;
    pen.clearRect(0, y - height / 2, box.left - 2, height);
    pen.clearRect(box.right + 3, y - height / 2, 38, height);
  }
}

/**
 * @param {Context} pen
 * @param {Box} box
 * @param {number} place
 * @param {Labels} labels
 * @param {Theme} theme
 */
function drawCursorLabels(pen, box, place, { rows }, theme) {
  const { label, number } = rows[place];
  const middle = box.yOf(place);
  pen.font = font(12, "700");
  pen.textBaseline = "middle";
  const parts = /** @type {[string, CanvasTextAlign, number, number][]} */ ([
    [label, "right", box.left - 7, box.left - 12],
    [String(number), "left", box.right + 5, 60],
  ]);
  for (const [text, align, at, room] of label === String(number) ? parts.slice(0, 1) : parts) {
    pen.textAlign = align;
    const shown = fitted(pen, text, room);
    const width = pen.measureText(shown).width + 6;
    pen.fillStyle = theme.chip;
    const left = align === "right" ? at - width + 3 : at - 3;
    pen.fillRect(left, middle - CURSOR_LABEL / 2, width, CURSOR_LABEL);
    pen.fillStyle = theme.chipText;
    pen.fillText(shown, at, middle);
  }
}
