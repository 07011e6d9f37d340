// The pictures as a file: pixels as many as on the screen, or lines and letters as SVG.

import { context2d } from "../canvas/canvas.js";
import { SvgContext } from "../canvas/svg.js";
import { download, make } from "./dom.js";

/** @import { PanelPictures } from "./panel.js" */

const MARGIN = 8; // CSS pixels at the top

/**
 * Save the pictures of all panels, from left to right.
 * @param {PanelPictures[]} panels
 * @param {string} back Colour of the background.
 * @param {"png" | "svg"} kind
 */
export function savePicture(panels, back, kind) {
  const sizes = panels.map(({ size }) => size);
  const width = sizes.reduce((sum, one) => sum + one.width, 0);
  const height = Math.max(...sizes.map((one) => one.height)) + MARGIN;
  const canvas = make("canvas");
  const ratio = window.devicePixelRatio || 1;
  if (kind === "png") Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const pixels = context2d(canvas);
  pixels.scale(ratio, ratio);
  const pen = kind === "png" ? pixels : new SvgContext(width, height, back, pixels);
  let x = 0;
  panels.forEach((panel, index) => {
    pen.save();
    pen.translate(x, MARGIN);
    panel.drawOn(pen);
    pen.restore();
    x += sizes[index].width;
  });
  if (pen instanceof SvgContext) {
    download(new Blob([pen.toString()], { type: "image/svg+xml" }), "trace.svg");
    return;
  }
  pen.globalCompositeOperation = "destination-over";
  pen.fillStyle = back;
  pen.fillRect(0, 0, width, height);
  canvas.toBlob((blob) => {
    if (blob) download(blob, "trace.png");
  });
}
