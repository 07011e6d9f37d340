// The colour bar: at the right of a picture, or below it on a narrow screen.

import { formatTick } from "../trace/format.js";
import { scaleOf, ticks } from "../trace/scale.js";
import { fitted, font } from "./canvas.js";

/**
 * @import { Box, Context, Theme } from "./canvas.js"
 * @import { Limits } from "../trace/scale.js"
 */

/**
 * @typedef {object} Bar
 * @property {Uint8Array} colours
 * @property {Limits} limits
 * @property {boolean} log
 * @property {string} label
 */

export const BAR_WIDTH = 70; // room at the right
export const BAR_HEIGHT = 48; // or below

/** @param {Uint8Array} colours @param {number} share */
function colourAt(colours, share) {
  const step = 3 * Math.min(255, Math.floor(share * 256));
  return `rgb(${colours[step]} ${colours[step + 1]} ${colours[step + 2]})`;
}

/** @param {Bar} bar */
function title({ label, log }) {
  return log ? `${label}, log scale` : label;
}

/**
 * Draw the bar at the right edge, with its label along it.
 * @param {Context} pen
 * @param {Box} box
 * @param {Bar} bar
 * @param {Theme} theme
 */
export function drawBarAtRight(pen, box, bar, theme) {
  const { colours, limits, log } = bar;
  const x = box.canvasWidth - 62;
  const height = Math.min(box.height, 320);
  for (let line = 0; line < height; line++) {
    pen.fillStyle = colourAt(colours, 1 - (line + 0.5) / height);
    pen.fillRect(x, box.top + line, 12, 1);
  }
  const place = scaleOf(limits, log);
  pen.fillStyle = theme.text;
  pen.font = font(10);
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (const value of ticks(limits, log, Math.max(2, Math.min(6, Math.floor(height / 24))))) {
    const y = box.top + (1 - place(value)) * height;
    if (y < box.top - 1 || y > box.top + height + 1) continue;
    pen.fillRect(x + 12, y - 0.5, 3, 1);
    pen.fillText(formatTick(value, log), x + 17, y);
  }
  pen.save();
  pen.translate(x + 54, box.top + height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.font = font(11);
  pen.fillText(fitted(pen, title(bar), height), 0, 0);
  pen.restore();
}

/**
 * Draw the bar below the axis of columns, with its label under it.
 * @param {Context} pen
 * @param {Box} box
 * @param {Bar} bar
 * @param {Theme} theme
 */
export function drawBarBelow(pen, box, bar, theme) {
  const { colours, limits, log } = bar;
  const y = box.canvasHeight - BAR_HEIGHT;
  for (let line = 0; line < box.width; line++) {
    pen.fillStyle = colourAt(colours, (line + 0.5) / box.width);
    pen.fillRect(box.left + line, y, 1, 12);
  }
  const place = scaleOf(limits, log);
  pen.fillStyle = theme.text;
  pen.font = font(10);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const value of ticks(limits, log, Math.max(2, Math.min(6, Math.floor(box.width / 60))))) {
    const x = box.left + place(value) * box.width;
    if (x < box.left - 1 || x > box.right + 1) continue;
    pen.fillRect(x - 0.5, y + 12, 1, 3);
    pen.fillText(formatTick(value, log), x, y + 21);
  }
  pen.font = font(11);
  pen.fillText(fitted(pen, title(bar), box.canvasWidth), box.left + box.width / 2, y + 36);
}
