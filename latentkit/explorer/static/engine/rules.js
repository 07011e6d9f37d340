/**
 * Exit rules while decoding: when to stop repeating the core. The formulas and names are those of
 * `latentkit.criteria.exit_rules`; thresholds and counts come from there with the page.
 */

import { likeliest } from "./readouts.js";

/**
 * @typedef {ArrayLike<number>} Row
 *
 * @typedef {object} ExitSettings
 * @property {string} name
 * @property {number} threshold
 * @property {number} hits how many values in a row must be below the threshold
 * @property {boolean} counts whether the value is a count that must reach the threshold
 *
 * @typedef {object} Formula
 * @property {"state" | "readout"} reads
 * @property {number} width values of how many iterations
 * @property {(...rows: Row[]) => number} change
 * @property {(row: Row) => Row} [summary]
 * @property {(row: Row) => Row} [start] what stands for iteration 0
 */

const uniform = (/** @type {Row} */ row) => new Float64Array(row.length).fill(-Math.log(row.length));

/** @type {Record<string, Formula>} */
export const FORMULAS = {
  "latent-diff": { reads: "state", width: 2, change: (a, b) => apart(b, a) / length(b) },
  cosine: { reads: "state", width: 2, change: (a, b) => 1 - cosine(a, b) },
  "entropy-diff": {
    reads: "readout",
    width: 2,
    change: (a, b) => Math.abs(b[0] - a[0]),
    summary: (row) => [entropy(row)],
    start: () => [100],
  },
  kl: { reads: "readout", width: 2, change: divergence, start: uniform },
  "minp-kl": { reads: "readout", width: 2, change: divergence, summary: withoutRare, start: uniform },
  "argmax-stability": {
    reads: "readout",
    width: 2,
    change: (a, b) => Number(a[0] === b[0]),
    summary: (row) => likeliest(row, 1),
    start: () => [-1],
  },
  acceleration: { reads: "state", width: 3, change: (a, b, c) => apart(less(c, b), less(b, a)) },
};

/** Evaluates an exit rule on the iterations of one token, as the mean over the positions that a call reads. */
export class ExitTest {
  /** @param {ExitSettings} settings @param {Row[]} starts states or log-probabilities at iteration 0 */
  constructor(settings, starts) {
    this.settings = settings;
    this.formula = FORMULAS[settings.name];
    const { start = (row) => row } = this.formula;
    this.windows = starts.map((row) => [Array.from(start(this.summary(row)))]);
    this.run = 0;
  }

  /** @param {Row} row */
  summary(row) {
    return this.formula.summary ? this.formula.summary(row) : row;
  }

  /** Whether the iterations end here; call it once for each iteration. @param {Row[]} rows */
  met(rows) {
    const { width, change } = this.formula;
    const { counts, threshold, hits } = this.settings;
    rows.forEach((row, i) => {
      this.windows[i].push(Array.from(this.summary(row)));
      if (this.windows[i].length > width) this.windows[i].shift();
    });
    if (this.windows[0].length < width) return false;
    const value = this.windows.reduce((sum, window) => sum + change(...window), 0) / rows.length;
    this.run = (counts ? value === 1 : value < threshold) ? this.run + 1 : 0;
    return this.run >= (counts ? threshold : hits);
  }
}

/** @param {Row} a @param {Row} b */
export function apart(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}

/** @param {Row} a @param {Row} b cosine of the angle between them */
export function cosine(a, b) {
  let [product, first, second] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    first += a[i] * a[i];
    second += b[i] * b[i];
  }
  return Math.max(-1, Math.min(1, product / (Math.sqrt(first) * Math.sqrt(second))));
}

/** @param {Row} a */
function length(a) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * a[i];
  return Math.sqrt(sum);
}

/** @param {Row} a @param {Row} b */
function less(a, b) {
  return Array.from(a, (value, i) => value - b[i]);
}

/** @param {Row} row log-probabilities */
function entropy(row) {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum -= Math.exp(row[i]) * row[i];
  return sum;
}

/** KL(before ‖ after) of log-probabilities. @param {Row} before @param {Row} after */
function divergence(before, after) {
  let sum = 0;
  for (let i = 0; i < before.length; i++) sum += Math.exp(before[i]) * (before[i] - after[i]);
  return sum;
}

/** Log-probabilities after every probability below a tenth of the largest is set to 1 / vocab. @param {Row} row */
function withoutRare(row) {
  let most = -Infinity;
  for (let i = 0; i < row.length; i++) most = Math.max(most, row[i]);
  const kept = Float64Array.from(row, (value) =>
    value < most + Math.log(0.1) ? -Math.log(row.length) : value,
  );
  const norm = Math.log(kept.reduce((sum, value) => sum + Math.exp(value), 0));
  return kept.map((value) => value - norm);
}
