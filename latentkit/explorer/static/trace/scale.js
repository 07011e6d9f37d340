// Scales: from values to places between two limits, and the round numbers on the way.

/** @typedef {[number, number]} Limits */

/**
 * Find the smallest and largest finite value, widened if there is only one.
 * @param {Iterable<Iterable<number>>} arrays
 * @param {boolean} log Whether only values above 0 count.
 * @returns {Limits}
 */
export function limitsOf(arrays, log) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays) {
    for (const value of values) {
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return log ? [1, 100] : [0, 1];
  if (low < high) return [low, high];
  return log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
}

/**
 * Replace automatic limits by fixed ones; an end that the scale cannot show stays automatic.
 * @param {Limits} automatic
 * @param {number | null | undefined} vmin
 * @param {number | null | undefined} vmax
 * @param {boolean} log
 * @returns {Limits}
 */
export function fixedLimits(automatic, vmin, vmax, log) {
  const usable = (/** @type {number | null | undefined} */ value) =>
    value !== null && value !== undefined && (!log || value > 0);
  const low = usable(vmin) ? Number(vmin) : automatic[0];
  const high = usable(vmax) ? Number(vmax) : automatic[1];
  if (low < high) return [low, high];
  if (usable(vmin) === usable(vmax)) return automatic;
  if (usable(vmin)) return [low, log ? 10 * low : low + 1];
  return [log ? high / 10 : high - 1, high];
}

/**
 * Make a function from a value to its place between the limits, 0 to 1; NaN if it has none.
 * @param {Limits} limits
 * @param {boolean} log
 * @returns {(value: number) => number}
 */
export function scaleOf([low, high], log) {
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
  return (value) => (log && value <= 0 ? NaN : ((log ? Math.log(value) : value) - from) / (to - from));
}

/**
 * Compute the value at a place between the limits.
 * @param {Limits} limits
 * @param {boolean} log
 * @param {number} place
 * @returns {number}
 */
export function unscale([low, high], log, place) {
  return log ? low * (high / low) ** place : low + (high - low) * place;
}

/**
 * List round numbers between the limits.
 * @param {Limits} limits
 * @param {boolean} log
 * @param {number} [most] About how many.
 * @returns {number[]}
 */
export function ticks(limits, log, most = 6) {
  return log ? logTicks(limits, most) : linearTicks(limits, most);
}

/**
 * List multiples of 1, 2 or 5 times a power of ten.
 * @param {Limits} limits
 * @param {number} most
 */
function linearTicks([low, high], most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/**
 * List powers of ten, with 2 and 5 times these if there are fewer than two.
 * @param {Limits} limits
 * @param {number} most
 */
function logTicks([low, high], most) {
  const [from, to] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((to - from + 1) / most));
  const powers = [];
  for (let power = from; power <= to; power++) if (power % every === 0) powers.push(Number(`1e${power}`));
  if (powers.length > 1) return powers;
  const digits = [1, 2, 5].flatMap((digit) => [from - 1, from, from + 1].map((power) => digit * 10 ** power));
  return digits.filter((value) => value >= low && value <= high).sort((a, b) => a - b);
}
