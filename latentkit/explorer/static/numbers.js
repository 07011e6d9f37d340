// What comes from Python, unpacked, and the few numbers that change while somebody moves a threshold.

const READERS = {
  u1: (view) => view.getUint8(0),
  u2: (view) => view.getUint16(0, true),
  u4: (view) => view.getUint32(0, true),
  f4: (view) => view.getFloat32(0, true),
  f2: (view) => fromHalf(view.getUint16(0, true)),
};
const HOLDERS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f2: Float32Array };

/** A number of 16 bits: sign, 5 bits of exponent, 10 bits of fraction. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/** Read the block that latentkit/explorer/data.py writes; arrays take the places of their numbers. */
export async function unpack(block) {
  const inflated = new Blob([block]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(inflated).arrayBuffer());
  const length = new DataView(raw.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)));
  let start = 4 + length;
  const arrays = header.arrays.map(([kind, count]) => {
    const size = Number(kind[1]);
    const bytes = raw.subarray(start, (start += size * count));
    return readArray(kind, size, count, bytes);
  });
  const fill = (places) => Object.fromEntries(Object.entries(places).map(([name, at]) => [name, arrays[at]]));
  header.maps = fill(header.maps);
  for (const panel of header.panels) {
    panel.variables = fill(panel.variables);
    panel.exits = fill(panel.exits);
    if (panel.readout) Object.assign(panel.readout, {
      place: arrays[panel.readout.place],
      probability: arrays[panel.readout.probability],
    });
  }
  return header;
}

/** The bytes of an array are sorted by significance: all lowest ones first. */
function readArray(kind, size, count, bytes) {
  const values = new HOLDERS[kind](count);
  const one = new Uint8Array(size);
  const view = new DataView(one.buffer);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < size; k++) one[k] = bytes[k * count + i];
    values[i] = READERS[kind](view);
  }
  return values;
}

/** Column from which on a row's values stay below; null if they do not at the end. The column of the limit is
 *  left out. This is latentkit.measure.stable_from, and a test holds it to that. */
export function settledColumn(values, below, skip = null) {
  let from = null;
  for (let column = values.length - 1; column >= 0; column--) {
    if (column === skip) continue;
    if (!(values[column] < below)) break;
    from = column;
  }
  return from;
}

/** First column at which an exit rule would stop; null if it never would. This is
 *  latentkit.criteria.first_exit, and a test holds it to that. */
export function exitColumn(values, rule, threshold) {
  const limit = Math.fround(threshold); // numpy compares in the precision of the values
  let hits = 0;
  for (let column = 0; column < values.length; column++) {
    hits = (rule.counts ? values[column] >= limit : values[column] < limit) ? hits + 1 : 0;
    if (hits === rule.hits) return column;
  }
  return null;
}

/** Smallest and largest number that a scale can show, widened where they are one. */
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

/** A function from a value to its place between the limits, 0 to 1; NaN where it has none. */
export function scaleOf([low, high], log) {
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
  return (value) => (log && value <= 0 ? NaN : ((log ? Math.log(value) : value) - from) / (to - from));
}

/** The value at a place between the limits. */
export function unscale([low, high], log, place) {
  return log ? low * (high / low) ** place : low + (high - low) * place;
}

/** Round numbers between the limits: powers of ten, with 2 and 5 where there are few; or even steps. */
export function ticks([low, high], log, most = 6) {
  if (!log) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((digit) => digit * power >= rough);
    const first = Math.ceil(low / step - 1e-9);
    const count = Math.floor(high / step + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }
  const [from, to] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((to - from + 1) / most));
  const powers = [];
  for (let power = from; power <= to; power++) if (power % every === 0) powers.push(10 ** power);
  if (powers.length > 1) return powers;
  const digits = [1, 2, 5].flatMap((digit) => [from - 1, from, from + 1].map((power) => digit * 10 ** power));
  return digits.filter((value) => value >= low && value <= high).sort((a, b) => a - b);
}

/** The one in the middle; of an even number the mean of the two. NaN of none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Three digits, as Python's ".3g" would write them. */
export function digits(value) {
  if (Number.isNaN(value)) return "not known";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${Number(mantissa)}·10${superscript(Number(exponent))}`.replace("-", "−");
  }
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3))).replace("-", "−");
}

export function superscript(number) {
  return [...String(number)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");
}

export function percent(share) {
  if (Number.isNaN(share)) return "not known";
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share && share < 0.1 ? 1 : 0)} %`;
}
