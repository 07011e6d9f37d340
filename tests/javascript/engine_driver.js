// Runs the engine on prompts given on standard input and prints how far its numbers are from those given.
// node engine_driver.js FOLDER_OF_ENGINE MODEL_BLOCK wasm|plain
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, block, kind] = process.argv.slice(2);
const { Model } = await import(pathToFileURL(join(folder, "model.js")).href);
const kernel = kind === "wasm" ? new Uint8Array(readFileSync(join(folder, "product.wasm"))) : null;
const model = await Model.load(new Uint8Array(readFileSync(block)), kernel);

/** @param {string} text base64 of float32 */
const numbers = (text) => {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
/** @param {Float32Array} found @param {string} text */
const farthest = (found, text) => {
  const wanted = numbers(text);
  if (wanted.length !== found.length) return Number.MAX_VALUE;
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i])), 0);
};
/** @param {Float32Array} row */
const likeliest = (row) => row.reduce((best, value, i) => (value > row[best] ? i : best), 0);

const results = JSON.parse(readFileSync(0, "utf-8")).map((asked) => {
  const { tokenizer } = model;
  const ids = asked.messages ? tokenizer.encodeChat(asked.messages) : tokenizer.encode(asked.prompt);
  if (!asked.states || JSON.stringify(ids) !== JSON.stringify(asked.ids)) return { ids };
  const context = model.embed(ids);
  const state = model.initialState(context, asked.seed);
  const states = { 0: farthest(state, asked.states[0]) };
  const last = Math.max(...Object.keys(asked.states).map(Number));
  for (let i = 1; i <= last; i++) {
    model.step(state, context);
    if (asked.states[i]) states[i] = farthest(state, asked.states[i]);
  }
  const logits = model.readout(state, context);
  const size = logits.length / ids.length;
  const top = ids.map((_, t) => likeliest(logits.subarray(t * size, (t + 1) * size)));
  return {
    ids,
    states,
    latent: farthest(model.normalise(state), asked.latent),
    logits: farthest(logits, asked.logits),
    top,
  };
});
console.log(JSON.stringify(results));
