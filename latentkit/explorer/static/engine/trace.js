/**
 * A trace: the states of one prompt, iteration by iteration, as `latentkit.run_recurrence` measures them.
 *
 * Arrays are ordered [token, iteration], one row after the other.
 */

import { addNoise } from "./random.js";
import { readoutStatistics, referenceOf } from "./readouts.js";
import { apart, cosine } from "./rules.js";

/**
 * @typedef {import("./model.js").Model} Model
 *
 * @typedef {object} Change what is done to one iteration
 * @property {"skip" | "repeat" | "noise"} kind
 * @property {number} iteration
 * @property {number} [size] of the noise, relative to the length of the state
 * @property {number} [seed] of the noise
 *
 * @typedef {object} Request
 * @property {number[]} ids
 * @property {number} iterations
 * @property {number} limit
 * @property {number | bigint | null} seed
 * @property {number[]} keep iterations whose states are returned
 * @property {number} top number of likeliest tokens
 * @property {Change | null} [change]
 *
 * @typedef {object} Host how a run reaches the outside
 * @property {() => Promise<boolean>} pause lets messages in; true if the run must stop
 * @property {(iteration: number, part: Record<string, ArrayLike<number>>) => void} column reports one iteration
 *
 * @typedef {object} Trace
 * @property {number} iterations the last one of the trace
 * @property {number} limit
 * @property {boolean} interrupted
 * @property {Record<string, Float32Array>} values distance, step_size, step_cosine, entropy, kl
 * @property {Int32Array} readout_id [token, iteration, rank], -1 where there is none
 * @property {Float32Array} readout_probability
 * @property {Record<number, Float32Array>} states normalised latent states [token, hidden]
 * @property {Float32Array} logits [token, vocab] of the last iteration of the trace
 * @property {Float32Array} end normalised latent state at the limit [token, hidden]
 * @property {Float32Array} last logits at the limit
 */

/**
 * @param {Model} model
 * @param {Request} request
 * @param {Host} host
 * @returns {Promise<Trace>}
 */
export async function trace(model, request, host) {
  const context = model.embed(request.ids);
  const run = await iterate(model, context, request, host);
  const count = run.states.length;
  const tokens = context.tokens;
  const target = model.normalise(run.last);
  const values = measured(model, run.states, target, tokens);
  /** @type {Record<number, Float32Array>} */
  const states = {};
  for (const i of request.keep) if (i < count) states[i] = model.normalise(run.states[i]);
  const read = emptyReadouts(tokens, count, request.top);
  const last = model.readout(run.last, context).slice();
  const reference = referenceOf(last, model.config.vocab_size);
  let { stopped } = run;
  for (let i = 0; i < count && !stopped && request.top; i++) {
    const logits = model.readout(run.states[i], context);
    const column = readoutStatistics(logits, model.config.vocab_size, reference, request.top);
    write(read, column, i, count, request.top);
    host.column(i, { ...column, distance: columnOf(values.distance, i, count) });
    stopped = await host.pause();
  }
  const logits = model.readout(run.states[count - 1], context).slice();
  const { readout_id, readout_probability, entropy, kl } = read;
  Object.assign(values, { entropy, kl });
  const counts = { iterations: count - 1, limit: run.reached, interrupted: stopped };
  return { ...counts, values, readout_id, readout_probability, states, logits, end: target, last };
}

/**
 * Run the core up to the limit, and keep the raw states up to `iterations`.
 * @param {Model} model
 * @param {import("./model.js").Context} context
 * @param {Request} request
 * @param {Host} host
 */
async function iterate(model, context, { iterations, limit, seed, change }, host) {
  const state = model.initialState(context, seed);
  disturb(state, 0, change, model.hidden);
  const states = [state.slice()];
  let before = model.normalise(state);
  let [reached, stopped] = [0, false];
  while (reached < limit && !stopped) {
    reached += 1;
    const here = change?.iteration === reached ? change.kind : "";
    if (here !== "skip") model.step(state, context);
    if (here === "repeat") model.step(state, context);
    disturb(state, reached, change, model.hidden);
    if (reached <= iterations) {
      states.push(state.slice());
      const latent = model.normalise(state);
      host.column(reached, { step_size: rowDistances(latent, before, model.hidden) });
      before = latent;
    }
    stopped = await host.pause();
  }
  if (!state.every(Number.isFinite)) {
    throw new Error(
      `The state is not finite after ${reached} iterations. The model of this page is damaged.`,
    );
  }
  return { states, last: state, reached, stopped };
}

/**
 * @param {Float32Array} state changed in place
 * @param {number} iteration
 * @param {Change | null | undefined} change
 * @param {number} hidden
 */
function disturb(state, iteration, change, hidden) {
  if (change?.kind !== "noise" || change.iteration !== iteration) return;
  for (let t = 0; t * hidden < state.length; t++) {
    addNoise(state.subarray(t * hidden, (t + 1) * hidden), change.size ?? 0.5, change.seed ?? 0, t);
  }
}

/**
 * Distance of each row of two arrays.
 * @param {Float32Array} a @param {Float32Array} b @param {number} hidden
 */
export function rowDistances(a, b, hidden) {
  return Float32Array.from({ length: a.length / hidden }, (_, t) =>
    apart(a.subarray(t * hidden, (t + 1) * hidden), b.subarray(t * hidden, (t + 1) * hidden)),
  );
}

/**
 * @param {Model} model
 * @param {Float32Array[]} states
 * @param {Float32Array} target
 * @param {number} tokens
 */
function measured(model, states, target, tokens) {
  const h = model.hidden;
  const count = states.length;
  const blank = () => new Float32Array(tokens * count).fill(NaN);
  const found = { distance: blank(), step_size: blank(), step_cosine: blank() };
  /** @type {Float32Array | null} */
  let lastStep = null;
  let before = target;
  for (let i = 0; i < count; i++) {
    const latent = model.normalise(states[i]);
    rowDistances(latent, target, h).forEach((value, t) => {
      found.distance[t * count + i] = value;
    });
    const step = i ? latent.map((value, k) => value - before[k]) : null;
    for (let t = 0; step && t < tokens; t++) {
      const row = step.subarray(t * h, (t + 1) * h);
      found.step_size[t * count + i] = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      if (lastStep) found.step_cosine[t * count + i] = cosine(row, lastStep.subarray(t * h, (t + 1) * h));
    }
    [before, lastStep] = [latent, step];
  }
  return /** @type {Record<string, Float32Array>} */ (found);
}

/** @param {number} tokens @param {number} count @param {number} top */
function emptyReadouts(tokens, count, top) {
  return {
    entropy: new Float32Array(tokens * count).fill(NaN),
    kl: new Float32Array(tokens * count).fill(NaN),
    readout_id: new Int32Array(tokens * count * top).fill(-1),
    readout_probability: new Float32Array(tokens * count * top).fill(NaN),
  };
}

/**
 * @param {ReturnType<typeof emptyReadouts>} read
 * @param {import("./readouts.js").Statistics} column
 * @param {number} i
 * @param {number} count
 * @param {number} top
 */
function write(read, column, i, count, top) {
  for (let t = 0; t < column.entropy.length; t++) {
    read.entropy[t * count + i] = column.entropy[t];
    read.kl[t * count + i] = column.kl[t];
    read.readout_id.set(column.id.subarray(t * top, (t + 1) * top), (t * count + i) * top);
    const chances = column.probability.subarray(t * top, (t + 1) * top);
    read.readout_probability.set(chances, (t * count + i) * top);
  }
}

/** @param {Float32Array} table @param {number} i @param {number} count */
function columnOf(table, i, count) {
  return Float32Array.from({ length: table.length / count }, (_, t) => table[t * count + i]);
}
