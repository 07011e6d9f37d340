// At which column a row stops. The formulas repeat latentkit.measure; tests/test_javascript.py compares both.

/**
 * @import { Rule } from "./data.js"
 * @typedef {ArrayLike<number>} Row
 */

/**
 * Find the column from which a row's values stay below a threshold: latentkit.measure.stable_from.
 * @param {Row} values
 * @param {number} below
 * @param {number | null} [skip] Column left out, because its value is 0 by construction.
 * @returns {number | null} null if the last value is not below.
 */
export function settledColumn(values, below, skip = null) {
  let settled = null;
  for (let column = values.length - 1; column >= 0; column--) {
    if (column === skip) continue;
    if (!(values[column] < below)) break;
    settled = column;
  }
  return settled;
}

/**
 * Find the column at which an exit rule stops: latentkit.criteria.first_exit.
 * @param {Row} values
 * @param {Pick<Rule, "hits" | "counts">} rule
 * @param {number} threshold
 * @returns {number | null} null if it never stops.
 */
export function exitColumn(values, rule, threshold) {
  const limit = Math.fround(threshold); // numpy compares in the precision of the values
  let hits = 0;
  for (let column = 0; column < values.length; column++) {
    const hit = rule.counts ? values[column] >= limit : values[column] < limit;
    hits = hit ? hits + 1 : 0;
    if (hits === rule.hits) return column;
  }
  return null;
}

/**
 * Compute the share of iterations that is not run after a stop.
 * @param {number[]} columns Iterations.
 * @param {number | null} stop
 * @returns {number} NaN if there is nothing to save.
 */
export function savedShare(columns, stop) {
  const [first, last] = [columns[0], columns[columns.length - 1]];
  return 1 - (columns[stop ?? columns.length - 1] - first) / (last - first);
}

/**
 * Compute the median; of an even count the mean of the middle two.
 * @param {number[]} numbers
 * @returns {number} NaN of none.
 */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
