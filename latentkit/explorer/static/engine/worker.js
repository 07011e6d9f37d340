/**
 * The worker of the live page: holds the model, and answers one message after the other.
 *
 * Between two iterations it lets messages in, so that a run can be stopped.
 */

import { Model } from "./model.js";
import { readoutStatistics, referenceOf } from "./readouts.js";
import { rowDistances, trace } from "./trace.js";
import { writeOn } from "./writing.js";

const REPORT = 60; // milliseconds between two reports of a run

/** @type {Model | null} */
let model = null;
let stopped = 0; // id of the last run that must stop
/** @type {{ end: Float32Array, last: Float32Array } | null} */
let usual = null; // end of the last run without a change, which one with a change is compared with
const channel = new MessageChannel();

/** @param {Record<string, unknown>} message @param {Transferable[]} [transfer] */
const post = (message, transfer = []) => /** @type {any} */ (self).postMessage(message, transfer);

/** Let waiting messages in. @param {number} id @returns {Promise<boolean>} whether the run must stop */
function pauseOf(id) {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve(stopped >= id);
    channel.port2.postMessage(0);
  });
}

/** Collects reports, so that a short iteration does not cost a message. @param {number} id */
function reporter(id) {
  /** @type {unknown[]} */
  let waiting = [];
  let last = 0;
  const flush = () => {
    if (waiting.length) post({ id, kind: "columns", columns: waiting });
    waiting = [];
    last = performance.now();
  };
  const column = (/** @type {number} */ iteration, /** @type {Record<string, ArrayLike<number>>} */ part) => {
    waiting.push({ iteration, ...part });
    if (performance.now() - last > REPORT) flush();
  };
  return { column, flush };
}

/** @param {string} base64 */
function bytesFrom(base64) {
  const signs = atob(base64);
  const bytes = new Uint8Array(signs.length);
  for (let i = 0; i < signs.length; i++) bytes[i] = signs.charCodeAt(i); // a callback for each takes far longer
  return bytes;
}

/** @param {{ model: string, kernel: string | null }} message texts in base64 */
async function load(message) {
  const kernel = message.kernel === null ? null : bytesFrom(message.kernel);
  model = await Model.load(bytesFrom(message.model), kernel);
  const { tokenizer, config, header, hidden, usesKernel } = model;
  const texts = Array.from({ length: config.vocab_size }, (_, id) => tokenizer.text(id));
  const facts = { hidden, vocab: config.vocab_size, contextLength: config.block_size };
  return { name: header.name, texts, kernel: usesKernel ? "wasm" : "javascript", ...facts };
}

/**
 * @param {Model} engine
 * @param {any} asked texts, messages or ids, and the choices of a run
 */
function encoded(engine, asked) {
  const { tokenizer } = engine;
  const ids =
    asked.ids ?? (asked.messages ? tokenizer.encodeChat(asked.messages) : tokenizer.encode(asked.prompt));
  return /** @type {number[]} */ (ids);
}

/** @param {Model} engine @param {number} id @param {any} asked */
async function traceRun(engine, id, asked) {
  const ids = encoded(engine, asked);
  post({ id, kind: "tokens", ids });
  const { column, flush } = reporter(id);
  const report = asked.report ? column : () => {};
  const found = await trace(engine, { ...asked, ids }, { pause: () => pauseOf(id), column: report });
  flush();
  const { end, last, ...result } = found;
  const effect = asked.change && usual && !found.interrupted ? effectOn(engine, usual, found) : null;
  if (!asked.change) usual = found.interrupted ? null : { end, last };
  return { ...result, token_ids: ids, effect };
}

/**
 * What a change of one iteration makes of the end.
 * @param {Model} engine
 * @param {{ end: Float32Array, last: Float32Array }} before
 * @param {{ end: Float32Array, last: Float32Array }} after
 */
function effectOn(engine, before, after) {
  const vocab = engine.config.vocab_size;
  const reference = referenceOf(before.last, vocab);
  const { kl, id } = readoutStatistics(after.last, vocab, reference, 1);
  const own = readoutStatistics(before.last, vocab, reference, 1).id;
  const same = Array.from(id, (token, t) => token === own[t]);
  return { distance: rowDistances(after.end, before.end, engine.hidden), kl, same };
}

/** @param {Model} engine @param {number} id @param {any} asked */
async function writingRun(engine, id, asked) {
  const ids = encoded(engine, asked);
  const host = {
    pause: () => pauseOf(id),
    written: (/** @type {unknown} */ token) => post({ id, kind: "written", token }),
  };
  return { ids, written: await writeOn(engine, { ...asked, ids }, host) };
}

/** @param {any} message */
async function answer(message) {
  if (message.kind === "load") return load(message);
  if (!model) throw new Error("The model is not loaded yet.");
  if (message.kind === "encode") return encoded(model, message);
  return message.kind === "write"
    ? writingRun(model, message.id, message)
    : traceRun(model, message.id, message);
}

/** Buffers of all arrays of numbers in a result, to be moved and not copied. @param {any} result */
function buffersOf(result) {
  const values = Object.values(result ?? {}).flatMap((one) =>
    ArrayBuffer.isView(one) ? [one] : Object.values(one ?? {}).filter(ArrayBuffer.isView),
  );
  return [...new Set(values.map((one) => one.buffer))];
}

self.addEventListener("message", async ({ data }) => {
  if (data.kind === "stop") {
    stopped = data.id;
    return;
  }
  try {
    const result = await answer(data);
    post({ id: data.id, kind: "done", result }, buffersOf(result));
  } catch (error) {
    post({ id: data.id, kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});
