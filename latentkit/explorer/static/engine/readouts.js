/**
 * Statistics of readouts, as `latentkit.run.readouts`: entropy, divergence and the likeliest tokens.
 *
 * Sums run in float64 over the float32 logits.
 */

/**
 * @typedef {object} Reference a readout that others are compared with
 * @property {Float64Array} probability [token, vocab]
 * @property {Float64Array} negentropy sum of p · log p, by token
 *
 * @typedef {object} Statistics
 * @property {Float32Array} entropy [token], nats
 * @property {Float32Array} kl [token], nats, KL(reference ‖ readout)
 * @property {Int32Array} id [token, rank]
 * @property {Float32Array} probability [token, rank]
 */

const LOWEST = -745; // the exponential of what is lower rounds to 0
const POWERS = Float64Array.from({ length: 1080 }, (_, n) => 2 ** -n);

/**
 * Exponential of a number that is not positive: 2⁻ⁿ · eʳ with |r| ≤ ln 2 / 2, where seven terms of the series
 * leave an error of 5e-9 of the value. It costs less than `Math.exp`, which readouts call for every token.
 * @param {number} x
 */
export function expOfNegative(x) {
  if (x < LOWEST) return 0;
  const n = (0.5 - x * Math.LOG2E) | 0;
  const r = x + n * Math.LN2;
  const series =
    1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))))));
  return POWERS[n] * series;
}

/** Largest number of a row. @param {Float32Array} row */
function largest(row) {
  let most = -Infinity;
  for (let i = 0; i < row.length; i++) if (row[i] > most) most = row[i];
  return most;
}

/**
 * Logarithm of the sum of the exponentials of one row.
 * @param {Float32Array} row
 */
function logSumExp(row) {
  const most = largest(row);
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += expOfNegative(row[i] - most);
  return most + Math.log(sum);
}

/**
 * @param {Float32Array} logits [token, vocab]
 * @param {number} vocab
 * @returns {Reference}
 */
export function referenceOf(logits, vocab) {
  const probability = new Float64Array(logits.length);
  const negentropy = new Float64Array(logits.length / vocab);
  for (let t = 0; t < negentropy.length; t++) {
    const row = logits.subarray(t * vocab, (t + 1) * vocab);
    const norm = logSumExp(row);
    let sum = 0;
    for (let i = 0; i < vocab; i++) {
      const p = Math.exp(row[i] - norm);
      probability[t * vocab + i] = p;
      sum += p * (row[i] - norm);
    }
    negentropy[t] = sum;
  }
  return { probability, negentropy };
}

/**
 * @param {Float32Array} logits [token, vocab]
 * @param {number} vocab
 * @param {Reference} reference
 * @param {number} top number of likeliest tokens
 * @returns {Statistics}
 */
export function readoutStatistics(logits, vocab, reference, top) {
  const tokens = logits.length / vocab;
  const found = {
    entropy: new Float32Array(tokens),
    kl: new Float32Array(tokens),
    id: new Int32Array(tokens * top),
    probability: new Float32Array(tokens * top),
  };
  for (let t = 0; t < tokens; t++) {
    const row = logits.subarray(t * vocab, (t + 1) * vocab);
    const most = largest(row);
    const start = t * vocab;
    let sum = 0;
    let weighted = 0;
    let cross = 0;
    for (let i = 0; i < vocab; i++) {
      const weight = expOfNegative(row[i] - most);
      sum += weight;
      weighted += weight * row[i];
      cross += reference.probability[start + i] * row[i];
    }
    const norm = most + Math.log(sum);
    found.entropy[t] = norm - weighted / sum;
    found.kl[t] = Math.max(0, reference.negentropy[t] - cross + norm);
    likeliest(row, top).forEach((id, rank) => {
      found.id[t * top + rank] = id;
      found.probability[t * top + rank] = Math.exp(row[id] - norm);
    });
  }
  return found;
}

/**
 * Log-probabilities of one row.
 * @param {Float32Array} row logits
 */
export function logProbabilities(row) {
  const norm = logSumExp(row);
  return Float64Array.from(row, (value) => value - norm);
}

/**
 * Indices of the largest numbers, the largest first.
 * @param {ArrayLike<number>} row
 * @param {number} top
 */
export function likeliest(row, top) {
  /** @type {number[]} */
  const best = [];
  for (let i = 0; i < row.length; i++) {
    if (best.length === top && !(row[i] > row[best[top - 1]])) continue;
    let place = best.length;
    while (place > 0 && row[i] > row[best[place - 1]]) place--;
    best.splice(place, 0, i);
    if (best.length > top) best.pop();
  }
  return best;
}
