// Numbers as text.

/**
 * Write a number with three significant digits, four from 100 on; with a power of ten below 0.0001 and from
 * a million on.
 * @param {number} value
 * @returns {string}
 */
export function formatNumber(value) {
  if (Number.isNaN(value)) return "unknown";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${Number(mantissa)}·10${superscript(Number(exponent))}`.replace("-", "−");
  }
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3))).replace("-", "−");
}

/**
 * Write a number of a scale's tick; powers of ten far from 1 as such.
 * @param {number} value
 * @param {boolean} log
 * @returns {string}
 */
export function formatTick(value, log) {
  const power = Math.round(Math.log10(value));
  const round = log && Math.abs(value - 10 ** power) < 1e-9 * value;
  return round && (power < -2 || power > 3) ? `10${superscript(power)}` : formatNumber(value);
}

/**
 * Write a whole number as an exponent.
 * @param {number} exponent
 * @returns {string}
 */
export function superscript(exponent) {
  return [...String(exponent)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");
}

/**
 * Write a share as a percentage.
 * @param {number} share
 * @returns {string}
 */
export function formatPercent(share) {
  if (Number.isNaN(share)) return "unknown";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(share && share < 0.0995 ? 1 : 0)} %`;
}
