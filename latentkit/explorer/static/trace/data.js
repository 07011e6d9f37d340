// Data of an explorer: their types, and how they are read from the block of latentkit/explorer/data.py.

/**
 * @typedef {object} Variable What the colours can show.
 * @property {string} name
 * @property {string} label
 * @property {string} meaning Its definition, "" if there is none.
 * @property {string} units "" for a number without units.
 * @property {boolean} log Whether its default scale is logarithmic.
 * @property {number} [span] Largest ratio between the ends of its automatic logarithmic scale.
 */

/**
 * @typedef {object} Rule An exit rule of latentkit.criteria.
 * @property {string} name
 * @property {number} threshold The default.
 * @property {number} hits How many iterations in a row must fulfil it.
 * @property {boolean} counts Whether it compares a count with a minimum, not a number with a maximum.
 */

/**
 * @typedef {object} Readout Likeliest tokens; arrays are ordered [rank, row, column].
 * @property {number} ranks
 * @property {string[]} texts Distinct tokens.
 * @property {number | null} missing Index in `texts` that stands for "unknown".
 * @property {Uint16Array | Uint32Array} place Indices in `texts`.
 * @property {Float32Array} probability
 */

/**
 * @typedef {object} Panel One trace. Arrays of numbers are ordered [row, column].
 * @property {string} name
 * @property {number[]} rows Positions.
 * @property {string[]} labels Text of each row.
 * @property {number[]} numbers Number of each row that readers see.
 * @property {number[]} columns Positions.
 * @property {string[] | null} columnLabels
 * @property {number} [untrained] First column beyond the iterations in training; -1 if there is none.
 * @property {number | null} limit Column whose distance is 0 by construction.
 * @property {Record<string, Float32Array>} variables
 * @property {Record<string, Float32Array>} exits Numbers that each exit rule compares with its threshold.
 * @property {Readout} [readout]
 */

/**
 * @typedef {object} Data Traces of one kind, and what they have in common.
 * @property {string} kind
 * @property {string} row What a row is called.
 * @property {string} rowPlural
 * @property {string} column
 * @property {string} axis Label of the axis of columns.
 * @property {string} map Default colour map.
 * @property {"next" | "own" | null} predicts Token that a readout predicts, null for layers.
 * @property {Variable[]} variables
 * @property {Rule[]} rules
 * @property {Record<string, Uint8Array>} maps Colour maps: 256 times red, green and blue.
 * @property {Panel[]} panels
 */

/** @typedef {Uint8Array | Uint16Array | Uint32Array | Float32Array} Numbers */

/** @type {Record<string, (view: DataView) => number>} */
const READERS = {
  u1: (view) => view.getUint8(0),
  u2: (view) => view.getUint16(0, true),
  u4: (view) => view.getUint32(0, true),
  f4: (view) => view.getFloat32(0, true),
  f2: (view) => fromHalf(view.getUint16(0, true)),
};
const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f2: Float32Array };

/**
 * Decode a float of 16 bits: sign, 5 bits of exponent, 10 bits of fraction.
 * @param {number} bits
 * @returns {number}
 */
export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/**
 * Read a block: a zlib stream of four bytes of length, a header in JSON, and the arrays.
 * @param {Uint8Array<ArrayBuffer>} block
 * @returns {Promise<Data>}
 */
export async function unpack(block) {
  const inflated = new Blob([block]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(inflated).arrayBuffer());
  const length = new DataView(raw.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)));
  let start = 4 + length;
  const arrays = header.arrays.map((/** @type {[keyof typeof ARRAYS, number]} */ [kind, count]) => {
    const end = start + Number(kind[1]) * count;
    const array = readArray(kind, count, raw.subarray(start, end));
    start = end;
    return array;
  });
  return withArrays(header, arrays);
}

/**
 * Replace indices of arrays in a header by the arrays.
 * @param {any} header
 * @param {Numbers[]} arrays
 * @returns {Data}
 */
function withArrays(header, arrays) {
  const lookUp = (/** @type {Record<string, number>} */ places) =>
    Object.fromEntries(Object.entries(places).map(([name, at]) => [name, arrays[at]]));
  header.maps = lookUp(header.maps);
  for (const panel of header.panels) {
    panel.variables = lookUp(panel.variables);
    panel.exits = lookUp(panel.exits);
    const { readout } = panel;
    if (readout) {
      readout.place = arrays[readout.place];
      readout.probability = arrays[readout.probability];
    }
  }
  return header;
}

/**
 * Read an array whose bytes are sorted by significance, all lowest ones first.
 * @param {keyof typeof ARRAYS} kind
 * @param {number} count
 * @param {Uint8Array} bytes
 * @returns {Numbers}
 */
function readArray(kind, count, bytes) {
  const values = new ARRAYS[kind](count);
  const size = Number(kind[1]);
  const element = new Uint8Array(size);
  const view = new DataView(element.buffer);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < size; k++) element[k] = bytes[k * count + i];
    values[i] = READERS[kind](view);
  }
  return values;
}
