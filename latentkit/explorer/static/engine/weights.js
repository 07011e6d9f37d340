/**
 * A model as one block of bytes: a header in JSON, then all weights as bfloat16 in two planes, deflated.
 *
 * The first plane holds the upper bytes of all weights, the second the lower ones: alike bytes side by side
 * deflate better. `latentkit.explorer.packing` writes the block.
 */

import { Weights } from "./kernel.js";

/**
 * @typedef {object} Config
 * @property {number} n_embd
 * @property {number} n_heads
 * @property {number} n_layers_in_prelude
 * @property {number} n_layers_in_recurrent_block
 * @property {number} n_layers_in_coda
 * @property {number} intermediate_size
 * @property {number} vocab_size
 * @property {number} block_size
 * @property {number} rope_base
 * @property {number} norm_eps
 * @property {"add" | "gate" | "linear"} injection_type
 *
 * @typedef {object} Header
 * @property {string} name
 * @property {Config} config
 * @property {import("./tokenizer.js").Vocabulary} tokenizer
 * @property {{name: string, shape: number[]}[]} tensors in the order of the planes
 */

/**
 * Read the header and the unpacked weights.
 * @param {Uint8Array} block
 * @returns {Promise<{header: Header, planes: Uint8Array}>}
 */
export async function unpack(block) {
  const size = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
  if (size + 4 > block.length) throw new Error(CUT);
  /** @type {Header} */
  const header = JSON.parse(new TextDecoder().decode(block.subarray(4, 4 + size)));
  const planes = await inflated(block.subarray(4 + size));
  const wanted = header.tensors.reduce((sum, { shape }) => sum + 2 * count(shape), 0);
  if (planes.length !== wanted) throw new Error(CUT);
  return { header, planes };
}

export const CUT = "The model in this page is damaged or cut off. Save the page again, or fetch it again.";

/** @param {Uint8Array} bytes */
async function inflated(bytes) {
  try {
    const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream();
    const plain = stream.pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  } catch {
    throw new Error(CUT);
  }
}

/** @param {number[]} shape */
export const count = (shape) => shape.reduce((product, size) => product * size, 1);

/**
 * Turn the planes into arrays of float32: matrices in panels, everything else as it is.
 * @param {Header} header
 * @param {Uint8Array} planes
 * @param {import("./kernel.js").Memory} memory
 */
export function arrays(header, planes, memory) {
  const all = header.tensors.reduce((sum, { shape }) => sum + count(shape), 0);
  /** @type {Map<string, Float32Array>} */
  const vectors = new Map();
  /** @type {Map<string, Weights>} */
  const matrices = new Map();
  let place = 0;
  for (const { name, shape } of header.tensors) {
    const size = count(shape);
    const words = new Uint32Array(size);
    for (let i = 0; i < size; i++) words[i] = (planes[place + i] << 24) | (planes[all + place + i] << 16);
    const values = new Float32Array(words.buffer);
    place += size;
    const isTable = name === "transformer.wte.weight";
    if (shape.length !== 2 || isTable) vectors.set(name, values);
    if (shape.length === 2) matrices.set(name, inPanels(values, shape[0], shape[1], memory));
  }
  const table = matrices.get("transformer.wte.weight");
  if (table && !matrices.has("lm_head.weight")) matrices.set("lm_head.weight", table); // one matrix used twice
  return { vectors, matrices };
}

/**
 * @param {Float32Array} values of a matrix [columns, inner], as torch keeps the weights of a linear layer
 * @param {number} columns
 * @param {number} inner
 * @param {import("./kernel.js").Memory} memory
 */
function inPanels(values, columns, inner, memory) {
  const panels = memory.floats(columns * inner);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor(column / 8) * inner * 8 + (column % 8);
    for (let k = 0; k < inner; k++) panels[start + 8 * k] = values[column * inner + k];
  }
  return new Weights(panels, inner, columns);
}
