// Keys and pointers on the pictures.

import { unscale } from "../trace/scale.js";
import { clamp } from "../trace/view.js";

/**
 * @import { Limits } from "../trace/scale.js"
 * @import { Cell, View } from "../trace/view.js"
 * @import { Actions } from "./controls.js"
 * @import { PanelPictures } from "./panel.js"
 */

const PAGE = 10; // rows that PageUp and PageDown move

/**
 * Find the cell that a key moves the cursor to.
 * @param {View} view
 * @param {string} key
 * @returns {Cell | null} null for other keys.
 */
export function cellAfterKey(view, key) {
  const [panel] = view.data.panels;
  const rows = view.rowsShown(panel);
  const place = Math.max(0, rows.indexOf(view.rowOf(panel)));
  const column = view.columnOf(panel);
  const last = panel.columns.length - 1;
  /** @type {Record<string, [number, number]>} */
  const moves = {
    ArrowLeft: [place, column - 1],
    ArrowRight: [place, column + 1],
    ArrowUp: [place - 1, column],
    ArrowDown: [place + 1, column],
    Home: [place, 0],
    End: [place, last],
    PageUp: [place - PAGE, column],
    PageDown: [place + PAGE, column],
  };
  const move = moves[key];
  if (!move) return null;
  return {
    token: panel.rows[rows[clamp(move[0], 0, rows.length - 1)]],
    iteration: panel.columns[clamp(move[1], 0, last)],
  };
}

/**
 * Connect the heatmap with keys and pointers. A mouse selects when it is pressed or dragged, and
 * shows the details of the cell under it; a finger selects by a tap, so that dragging scrolls the page.
 * @param {PanelPictures} pictures
 * @param {Actions} actions
 * @param {(cell: Cell | null) => void} hover
 */
export function connectHeatmap(pictures, actions, hover) {
  const { cells, view } = pictures;
  cells.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = cellAfterKey(view, event.key);
    if (!cell) return;
    event.preventDefault();
    actions.select(cell);
  });
  const onPointer = (/** @type {PointerEvent} */ event) => {
    if (event.pointerType === "touch") return;
    const cell = cellUnder(pictures, event);
    if (cell && event.buttons & 1) actions.select(cell);
    else hover(cell);
  };
  cells.addEventListener("pointerdown", onPointer);
  cells.addEventListener("pointermove", onPointer);
  cells.addEventListener("pointerleave", () => hover(null));
  cells.addEventListener("click", (event) => {
    const cell = cellUnder(pictures, event);
    if (cell) actions.select(cell);
  });
}

/** @param {PanelPictures} pictures @param {MouseEvent} event @returns {Cell | null} */
function cellUnder({ panel, rows, box }, event) {
  if (!box) return null;
  const column = Math.floor((event.offsetX - box.left) / box.columnWidth);
  const place = Math.floor((event.offsetY - box.top) / box.rowHeight);
  const isInside = column >= 0 && column < panel.columns.length && place >= 0 && place < rows.length;
  return isInside ? { token: panel.rows[rows[place]], iteration: panel.columns[column] } : null;
}

/**
 * Connect the curve with pointers, which drag the threshold. A finger drags it by its handle only.
 * @param {PanelPictures} pictures
 * @param {Actions} actions
 */
export function connectCurve(pictures, actions) {
  const { plot, handle, curve, view } = pictures;
  /** @type {{ limits: Limits, log: boolean } | null} */
  let scale = null; // does not change during a drag
  const drag = (/** @type {PointerEvent} */ event) => {
    const box = pictures.curveBox;
    if (!scale || !box) return;
    const y = clamp(event.clientY - curve.getBoundingClientRect().top, box.top, box.bottom);
    const value = unscale(scale.limits, scale.log, (box.bottom - y) / box.height);
    const threshold = view.rule?.counts ? Math.max(1, Math.round(value)) : Number(value.toPrecision(4));
    actions.set({ threshold });
  };
  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" && event.target !== handle) return;
    plot.setPointerCapture(event.pointerId);
    scale = pictures.curveShown;
    drag(event);
  });
  plot.addEventListener("pointermove", drag);
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
    plot.addEventListener(end, () => {
      scale = null;
    });
  }
}
