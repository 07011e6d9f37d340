/**
 * Products of matrices, by the WebAssembly kernel or in plain JavaScript, over one memory.
 *
 * A matrix of weights is kept in panels of eight columns, as product.wat describes.
 */

const PAGE = 65536;

/** @typedef {{product(x: Float32Array, rows: number, weights: Weights, out: Float32Array): void}} Products */

/** A matrix in panels, ready for `product`. */
export class Weights {
  /**
   * @param {Float32Array} panels
   * @param {number} inner
   * @param {number} columns
   */
  constructor(panels, inner, columns) {
    this.panels = panels;
    this.inner = inner;
    this.columns = columns;
  }
}

/** Memory of a fixed size: arrays of numbers are handed out one after the other. */
export class Memory {
  /** @param {number} bytes of all arrays together */
  constructor(bytes) {
    this.wasm = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) + 1 });
    this.used = 16;
  }

  /**
   * An array of zeros. The memory never grows, because that would detach the arrays handed out before.
   * @param {number} length
   */
  floats(length) {
    const start = this.used;
    this.used += Math.ceil((length * 4) / 16) * 16;
    const size = this.wasm.buffer.byteLength;
    if (this.used > size) throw new Error(`The engine's memory of ${size} bytes is too small.`);
    return new Float32Array(this.wasm.buffer, start, length);
  }
}

/**
 * The kernel over a memory; null where the browser has no 128-bit SIMD.
 * @param {Uint8Array} code of product.wasm
 * @param {Memory} memory
 * @returns {Promise<Products | null>}
 */
export async function wasmProducts(code, memory) {
  try {
    const { instance } = /** @type {WebAssembly.WebAssemblyInstantiatedSource} */ (
      /** @type {unknown} */ (await WebAssembly.instantiate(code, { env: { memory: memory.wasm } }))
    );
    const call = /** @type {Function} */ (instance.exports.product);
    return {
      product: (x, rows, { panels, inner, columns }, out) =>
        call(x.byteOffset, rows, inner, panels.byteOffset, columns, out.byteOffset),
    };
  } catch {
    return null;
  }
}

/** @type {Products} */
export const plainProducts = {
  product(x, rows, { panels, inner, columns }, out) {
    const sums = new Float64Array(8);
    for (let row = 0; row < rows; row++) {
      for (let panel = 0; panel < columns / 8; panel++) {
        sums.fill(0);
        let place = panel * inner * 8;
        for (let k = row * inner; k < (row + 1) * inner; k++) {
          const value = x[k];
          for (let j = 0; j < 8; j++) sums[j] += value * panels[place++];
        }
        out.set(sums, row * columns + panel * 8);
      }
    }
  },
};
