/**
 * Greedy writing: one token after the other, each after some passes of the core, as `latentkit.run_decoding`
 * without a cache. An exit rule may end the passes of a token earlier.
 */

import { likeliest, logProbabilities } from "./readouts.js";
import { ExitTest, FORMULAS } from "./rules.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {{ id: number, iterations: number }} Written
 *
 * @typedef {object} WritingRequest
 * @property {number[]} ids
 * @property {number} count most new tokens
 * @property {number} iterations most passes for each token
 * @property {number | bigint | null} seed
 * @property {import("./rules.js").ExitSettings | null} exit
 */

/**
 * @param {Model} model
 * @param {WritingRequest} request
 * @param {{ pause: () => Promise<boolean>, written: (token: Written) => void }} host
 * @returns {Promise<Written[]>}
 */
export async function writeOn(model, request, host) {
  const { tokenizer } = model;
  const stops = ["<|begin_text|>", "<|end_text|>", "<|end_turn|>"].map((text) => tokenizer.special.get(text));
  /** @type {Written[]} */
  const found = [];
  const ids = [...request.ids];
  while (found.length < request.count) {
    const token = await nextToken(model, ids, request, found.length === 0, host.pause);
    if (!token) break;
    found.push(token);
    ids.push(token.id);
    host.written(token);
    if (stops.includes(token.id)) break;
  }
  return found;
}

/**
 * @param {Model} model
 * @param {number[]} ids
 * @param {WritingRequest} request
 * @param {boolean} isFirst whether the call reads the prompt: rules on states then average over it
 * @param {() => Promise<boolean>} pause
 * @returns {Promise<Written | null>} null if the run was stopped
 */
async function nextToken(model, ids, { iterations, seed, exit }, isFirst, pause) {
  const context = model.embed(ids);
  const state = model.initialState(context, seed);
  const rows = () => {
    if (exit && FORMULAS[exit.name].reads === "readout")
      return [logProbabilities(model.readoutLast(state, context))];
    const first = isFirst ? 0 : ids.length - 1;
    return Array.from({ length: ids.length - first }, (_, t) =>
      state.slice((first + t) * model.hidden, (first + t + 1) * model.hidden),
    );
  };
  const test = exit && new ExitTest(exit, rows());
  let used = 0;
  let isOver = false;
  while (used < iterations && !isOver) {
    model.step(state, context);
    used += 1;
    isOver = test?.met(rows()) ?? false;
    if (await pause()) return null;
  }
  return { id: likeliest(model.readoutLast(state, context), 1)[0], iterations: used };
}
