// The hosts of an explorer: anywidget in a live notebook; a saved notebook or a page of its own.

import { Explorer } from "./page/explorer.js";
import { unpack } from "./trace/data.js";
import { TRAITS } from "./trace/view.js";

/** @import { State } from "./trace/view.js" */

/**
 * @typedef {object} Model Model of anywidget: the traits of the Python object.
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, listener: () => void) => void} on
 * @property {(event: string, listener: () => void) => void} off
 */

/**
 * Start an explorer in every element with a given id, in the place of its fallback.
 * @param {string} id
 * @param {string} base64 A block of data.
 * @param {State} state
 */
export async function start(id, base64, state) {
  const block = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  /** @type {NodeListOf<HTMLElement>} */
  const places = document.querySelectorAll(`[data-latentkit="${id}"]:not([data-started])`);
  for (const place of places) {
    place.dataset.started = "";
    const root = document.createElement("div");
    const data = await unpack(block);
    place.replaceChildren(root);
    new Explorer(root, data, state);
  }
}

/**
 * Render the widget: every choice of the user is a trait.
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {Promise<() => void>} Removes it.
 */
async function render({ model, el }) {
  const read = () => {
    const { buffer, byteOffset, byteLength } = model.get("data");
    return unpack(new Uint8Array(buffer, byteOffset, byteLength));
  };
  const state = /** @type {State} */ (Object.fromEntries(TRAITS.map((name) => [name, model.get(name)])));
  const root = el.appendChild(document.createElement("div"));
  const explorer = new Explorer(root, await read(), state, (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  });
  /** @type {[string, () => void][]} */
  const listeners = TRAITS.map((name) => [
    `change:${name}`,
    () => explorer.update({ [name]: model.get(name) }),
  ]);
  listeners.push(["change:data", async () => explorer.load(await read())]);
  for (const [event, listener] of listeners) model.on(event, listener);
  return () => {
    for (const [event, listener] of listeners) model.off(event, listener);
    explorer.close();
  };
}

export default { render };
