// The pictures as a file.

import { context2d } from "../canvas/canvas.js";
import { download } from "./dom.js";

const MARGIN = 8; // CSS pixels at the top

/**
 * Save canvases as one PNG, as the screen shows them.
 * @param {HTMLCanvasElement[][]} columns From left to right, each from top to bottom.
 * @param {string} background
 */
export function savePicture(columns, background) {
  const margin = MARGIN * (window.devicePixelRatio || 1);
  const heights = columns.map((column) => column.reduce((sum, { height }) => sum + height, margin));
  const canvas = document.createElement("canvas");
  canvas.width = columns.reduce((sum, [first]) => sum + first.width, 0);
  canvas.height = Math.max(...heights);
  const context = context2d(canvas);
  context.fillStyle = background;
  context.fillRect(0, 0, canvas.width, canvas.height);
  let x = 0;
  for (const column of columns) {
    let y = margin;
    for (const piece of column) {
      context.drawImage(piece, x, y);
      y += piece.height;
    }
    x += column[0].width;
  }
  canvas.toBlob((blob) => {
    if (blob) download(blob, "trace.png");
  });
}
