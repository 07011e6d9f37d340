// What all pictures on a canvas share: layout, fonts, and text that fits.

const FAMILY = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

/**
 * @typedef {"text" | "soft" | "edge" | "control" | "grid" | "blank" | "chip" | "chipText" | "line" | "threshold" | "band" | "back"} Colour
 * @typedef {Record<Colour, string>} Theme
 */

/** @typedef {CanvasRenderingContext2D | import("./svg.js").SvgContext} Context What pictures are drawn on. */

/**
 * @typedef {object} Box Where a picture's parts are, in CSS pixels.
 * @property {number} left
 * @property {number} right
 * @property {number} top
 * @property {number} bottom
 * @property {number} width
 * @property {number} height
 * @property {number} rowHeight
 * @property {number} columnWidth
 * @property {number} canvasWidth
 * @property {number} canvasHeight
 * @property {(column: number) => number} xOf Middle of a column.
 * @property {(place: number) => number} yOf Middle of a row; `place` counts the rows shown.
 */

/** @param {number} size @param {string | number} [weight] */
export function font(size, weight = "") {
  return `${weight} ${size}px ${FAMILY}`.trim();
}

/**
 * Lay out a picture of `rows` × `columns` cells that is `width` pixels wide.
 * @param {object} wanted
 * @param {number} wanted.width
 * @param {number} wanted.rows
 * @param {number} wanted.columns
 * @param {number} wanted.left Room for labels.
 * @param {number} wanted.right Room for numbers and the colour bar.
 * @param {number} wanted.below Room for ticks, the axis and the colour bar.
 * @param {number} wanted.rowHeight
 * @returns {Box}
 */
export function layOut({ width, rows, columns, left, right, below, rowHeight }) {
  const top = 26;
  const inner = { width: Math.max(40, width - left - right), height: rows * rowHeight };
  return {
    left,
    top,
    ...inner,
    right: left + inner.width,
    bottom: top + inner.height,
    rowHeight,
    columnWidth: inner.width / columns,
    canvasWidth: width,
    canvasHeight: top + inner.height + below,
    xOf: (column) => left + ((column + 0.5) * inner.width) / columns,
    yOf: (place) => top + (place + 0.5) * rowHeight,
  };
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
export function context2d(canvas) {
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("This browser cannot draw on a canvas.");
  return pen;
}

/**
 * Give a canvas its size, with as many pixels as the screen has; drawing then uses CSS pixels. A canvas
 * that has the size is left as it is, because setting it takes time.
 * @param {HTMLCanvasElement} canvas
 * @param {Box} box
 * @param {number} ratio Pixels of the screen for one CSS pixel.
 */
export function prepare(canvas, { canvasWidth, canvasHeight }, ratio) {
  const [width, height] = [Math.round(canvasWidth * ratio), Math.round(canvasHeight * ratio)];
  const pen = context2d(canvas);
  if (canvas.width === width && canvas.height === height) return pen;
  Object.assign(canvas, { width, height });
  Object.assign(canvas.style, { width: `${canvasWidth}px`, height: `${canvasHeight}px` });
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.direction = "ltr";
  return pen;
}

/**
 * Cut a text so that it fits.
 * @param {Context} pen
 * @param {string} text
 * @param {number} width
 */
export function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}
