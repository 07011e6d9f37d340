// Drawing on a canvas: cells with their labels, a colour bar, a curve. Nothing here knows about the page.

import { digits, scaleOf, superscript, ticks } from "./numbers.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
export const font = (size, weight = "") => `${weight} ${size}px ${FONT}`.trim();

/** One pixel for each cell [row, column]; a cell without a place on the scale stays clear. */
export function paintCells(canvas, values, columns, rows, colours, place) {
  canvas.width = columns;
  canvas.height = rows.length;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows.length);
  let at = 0;
  for (const row of rows) {
    for (let column = 0; column < columns; column++, at += 4) {
      const where = place(values[row * columns + column]);
      if (Number.isNaN(where)) continue;
      const step = 3 * Math.max(0, Math.min(255, Math.floor(where * 256)));
      image.data[at] = colours[step];
      image.data[at + 1] = colours[step + 1];
      image.data[at + 2] = colours[step + 2];
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Where things stand in a picture of `rows` × `columns` cells, `width` pixels wide. */
export function layOut({ width, rows, columns, left, right, bar, rowHeight }) {
  const box = { left, top: 26, width: Math.max(40, width - left - right - bar), height: rows * rowHeight };
  return {
    ...box,
    rowHeight,
    columnWidth: box.width / columns,
    right: box.left + box.width,
    bottom: box.top + box.height,
    canvasWidth: width,
    canvasHeight: box.top + box.height + 36,
    xOf: (column) => box.left + ((column + 0.5) * box.width) / columns,
    yOf: (place) => box.top + (place + 0.5) * rowHeight,
  };
}

/** Make a canvas as sharp as the screen, and speak in CSS pixels. */
export function prepare(canvas, width, height, ratio) {
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.direction = "ltr";
  return context;
}

/** Every how many rows a label fits: 1, 2, 5, 10, … */
export function labelStep(rowHeight, letters) {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) if (digit * power * rowHeight >= letters) return digit * power;
  }
}

/** Cut a text so that it fits. */
export function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

/** Cells, labels on the left, numbers on the right, ticks below. */
export function drawCells(context, box, cells, words, theme) {
  const size = Math.min(12, Math.max(9, box.rowHeight - 1));
  context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  context.fillStyle = theme.blank;
  context.fillRect(box.left, box.top, box.width, box.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, box.left, box.top, box.width, box.height);
  context.fillStyle = theme.text;
  context.textBaseline = "middle";
  context.font = font(13, "600");
  context.textAlign = "left";
  context.fillText(fitted(context, words.title, box.right - box.left), box.left, 12);
  context.font = font(size);
  const step = labelStep(box.rowHeight, size + 1);
  words.rows.forEach(({ label, beside, position }, place) => {
    if (step > 1 && position % step) return;
    const y = box.yOf(place);
    context.textAlign = "right";
    context.fillText(fitted(context, label, box.left - 12), box.left - 7, y);
    context.textAlign = "left";
    context.fillStyle = theme.soft;
    context.fillText(beside, box.right + 5, y);
    context.fillStyle = theme.text;
  });
  drawColumnTicks(context, box, words, theme);
}

function drawColumnTicks(context, box, words, theme) {
  const { columns, columnLabels, axis } = words;
  context.font = font(11);
  context.textAlign = "center";
  context.fillStyle = theme.text;
  const room = Math.max(2, Math.floor(box.width / 44));
  const last = columns.length - 1;
  const chosen = columnLabels
    ? columns.map((_, column) => column)
    : ticks([columns[0], columns[last]], false, room).map((value) => columns.indexOf(value));
  for (const column of last ? chosen.filter((place) => place >= 0) : [0]) {
    const x = box.xOf(column);
    context.fillRect(x - 0.5, box.bottom, 1, 4);
    const text = columnLabels ? fitted(context, columnLabels[column], box.columnWidth - 4) : columns[column];
    context.fillText(text, x, box.bottom + 12);
  }
  context.fillStyle = theme.soft;
  context.fillText(axis, box.left + box.width / 2, box.bottom + 27);
}

/** The scale in colours at the right edge, with its name along it. */
export function drawBar(context, box, { colours, limits, log, label }, theme) {
  const x = box.canvasWidth - 62;
  const height = Math.min(box.height, 320);
  for (let line = 0; line < height; line++) {
    const step = 3 * Math.min(255, Math.floor((1 - (line + 0.5) / height) * 256));
    context.fillStyle = `rgb(${colours[step]} ${colours[step + 1]} ${colours[step + 2]})`;
    context.fillRect(x, box.top + line, 12, 1);
  }
  const place = scaleOf(limits, log);
  context.fillStyle = theme.text;
  context.font = font(10);
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const value of ticks(limits, log, Math.max(2, Math.min(6, Math.floor(height / 24))))) {
    const y = box.top + (1 - place(value)) * height;
    if (y < box.top - 1 || y > box.top + height + 1) continue;
    context.fillRect(x + 12, y - 0.5, 3, 1);
    context.fillText(tickText(value, log), x + 17, y);
  }
  context.save();
  context.translate(x + 54, box.top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.font = font(11);
  context.fillText(fitted(context, log ? `${label}, log scale` : label, height), 0, 0);
  context.restore();
}

function tickText(value, log) {
  const power = Math.round(Math.log10(value));
  const round = log && Math.abs(value - 10 ** power) < 1e-9 * value;
  return round && (power < -2 || power > 3) ? `10${superscript(power)}` : digits(value);
}

/** Where each row would stop: a small mark, dark in light, so that it shows on every colour. */
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

/** The chosen cell: a line through its column and a frame round it; its labels in bold. */
export function drawCursor(context, box, column, place, words, theme) {
  const [x, y] = [box.left + column * box.columnWidth, box.top + place * box.rowHeight];
  const [wide, high] = [Math.max(box.columnWidth, 4), Math.max(box.rowHeight, 4)];
  for (const [colour, width] of [["#000", 3], ["#fff", 1.2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(x, box.top, box.columnWidth, box.height);
    context.strokeRect(x + (box.columnWidth - wide) / 2 - 1, y + (box.rowHeight - high) / 2 - 1, wide + 2, high + 2);
  }
  const { label, beside } = words.rows[place];
  const middle = box.yOf(place);
  context.font = font(12, "700");
  context.textBaseline = "middle";
  for (const [text, align, at, room] of [
    [label, "right", box.left - 7, box.left - 12],
    [String(beside), "left", box.right + 5, 60],
  ]) {
    context.textAlign = align;
    const shown = fitted(context, text, room);
    const width = context.measureText(shown).width + 6;
    context.fillStyle = theme.chip;
    context.fillRect(align === "right" ? at - width + 3 : at - 3, middle - 8, width, 16);
    context.fillStyle = theme.chipText;
    context.fillText(shown, at, middle);
  }
}

/** The way of one row's value over the columns, with the threshold and the column where it stops. */
export function drawCurve(context, box, curve, theme) {
  const { values, limits, log, threshold, stop, column, label } = curve;
  const place = scaleOf(limits, log);
  const y = (value) => box.bottom - place(value) * box.height;
  context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
  context.font = font(10);
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const value of ticks(limits, log, 4)) {
    context.fillStyle = theme.grid;
    context.fillRect(box.left, y(value) - 0.5, box.width, 1);
    context.fillStyle = theme.text;
    context.fillText(tickText(value, log), box.left - 7, y(value));
  }
  context.textAlign = "left";
  context.font = font(12);
  context.fillText(fitted(context, label, box.width), box.left, box.top - 11);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 2, box.width, box.height + 4);
  context.clip();
  drawBand(context, box, stop, theme);
  drawLine(context, box, values, y, theme);
  context.fillStyle = theme.threshold;
  for (let x = box.left; x < box.right; x += 9) context.fillRect(x, y(threshold) - 1, 6, 2);
  context.restore();
  drawHandle(context, box.right, Math.max(box.top, Math.min(box.bottom, y(threshold))), theme);
  context.fillStyle = theme.text;
  context.fillRect(box.xOf(column) - 0.75, box.top, 1.5, box.height);
  const value = place(values[column]);
  if (!Number.isFinite(value)) return;
  context.beginPath();
  context.arc(box.xOf(column), box.bottom - value * box.height, 4.5, 0, 7);
  context.fillStyle = theme.chip;
  context.fill();
  context.strokeStyle = theme.chipText;
  context.lineWidth = 1.5;
  context.stroke();
}

/** What would not be run: everything after the stop. */
function drawBand(context, box, stop, theme) {
  if (stop === null) return;
  const x = box.xOf(stop);
  context.fillStyle = theme.band;
  context.fillRect(x, box.top, box.right - x, box.height);
  context.fillStyle = theme.threshold;
  context.fillRect(x - 1, box.top, 2, box.height);
}

function drawLine(context, box, values, y, theme) {
  context.beginPath();
  let drawing = false;
  values.forEach((value, column) => {
    const height = y(value);
    if (!Number.isFinite(height)) return void (drawing = false);
    if (drawing) context.lineTo(box.xOf(column), height);
    else context.moveTo(box.xOf(column), height);
    drawing = true;
  });
  context.strokeStyle = theme.line;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.stroke();
}

/** What a hand can take hold of: the end of the threshold. */
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
