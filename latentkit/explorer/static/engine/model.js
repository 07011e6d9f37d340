/**
 * Huginn's architecture in JavaScript: the five verbs of `latentkit.models.contract`.
 *
 * What differs from an ordinary decoder stands in `latentkit/models/huginn.py`; shapes and the order of the
 * operations are the same here, in float32.
 */

import { Memory, plainProducts, wasmProducts } from "./kernel.js";
import { initialRow } from "./random.js";
import { rotaryTable, rotate } from "./rotary.js";
import { Tokenizer } from "./tokenizer.js";
import { arrays, count, unpack } from "./weights.js";

/**
 * @typedef {object} Context what the prelude made of a prompt, with its rotary table
 * @property {number} tokens
 * @property {Float32Array} embedding [token, hidden]
 * @property {Float32Array} cos [token, pair]
 * @property {Float32Array} sin [token, pair]
 */

export class Model {
  /**
   * @param {Uint8Array} block of `unpack`
   * @param {Uint8Array | null} kernel code of product.wasm; null: plain JavaScript
   */
  static async load(block, kernel) {
    const { header, planes } = await unpack(block);
    const numbers = header.tensors.reduce((sum, { shape }) => sum + count(shape), 0);
    const memory = new Memory(4 * numbers + scratchBytes(header.config, header.config.block_size));
    const products = (kernel && (await wasmProducts(kernel, memory))) || plainProducts;
    return new Model(header, arrays(header, planes, memory), memory, products);
  }

  /**
   * @param {import("./weights.js").Header} header
   * @param {ReturnType<typeof arrays>} weights
   * @param {Memory} memory
   * @param {import("./kernel.js").Products} products
   */
  constructor(header, weights, memory, products) {
    this.header = header;
    this.config = header.config;
    this.vectors = weights.vectors;
    this.matrices = weights.matrices;
    this.products = products;
    this.usesKernel = products !== plainProducts;
    this.tokenizer = new Tokenizer(header.tokenizer);
    this.hidden = header.config.n_embd;
    this.scratch = makeScratch(memory, header.config);
  }

  /**
   * The prelude, once per prompt.
   * @param {ArrayLike<number>} ids
   * @returns {Context}
   */
  embed(ids) {
    const { hidden, config } = this;
    if (ids.length < 1 || ids.length > config.block_size) {
      throw new Error(`The prompt has ${ids.length} tokens; this model reads 1 to ${config.block_size}.`);
    }
    const x = new Float32Array(ids.length * hidden);
    const table = this.vector("transformer.wte.weight");
    const scale = Math.fround(Math.sqrt(hidden));
    for (let t = 0; t < ids.length; t++) {
      for (let i = 0; i < hidden; i++) x[t * hidden + i] = table[ids[t] * hidden + i] * scale;
    }
    const context = { tokens: ids.length, embedding: x, ...rotaryTable(config, ids.length) };
    for (let i = 0; i < config.n_layers_in_prelude; i++) this.block(x, context, `prelude.${i}`);
    return context;
  }

  /**
   * The start of every position, the same as in Python for every seed.
   * @param {Context} context
   * @param {number | bigint | null} seed null: zeros
   */
  initialState(context, seed) {
    const state = new Float32Array(context.tokens * this.hidden);
    for (let t = 0; t < context.tokens; t++) {
      initialRow(state.subarray(t * this.hidden, (t + 1) * this.hidden), seed, t);
    }
    return state;
  }

  /**
   * One pass of the core block; the state is changed in place.
   * @param {Float32Array} state [token, hidden]
   * @param {Context} context
   */
  step(state, context) {
    this.inject(state, context);
    for (let i = 0; i < this.config.n_layers_in_recurrent_block; i++) {
      this.block(state, context, `core_block.${i}`);
    }
  }

  /** @param {Float32Array} state @param {Context} context */
  inject(state, { embedding, tokens }) {
    const kind = this.config.injection_type;
    if (kind !== "linear") {
      for (let i = 0; i < state.length; i++) {
        state[i] = kind === "add" ? state[i] + embedding[i] : state[i] * embedding[i];
      }
      return;
    }
    const both = this.scratch.wide.subarray(0, tokens * 2 * this.hidden);
    for (let t = 0; t < tokens; t++) {
      both.set(state.subarray(t * this.hidden, (t + 1) * this.hidden), 2 * t * this.hidden);
      both.set(embedding.subarray(t * this.hidden, (t + 1) * this.hidden), (2 * t + 1) * this.hidden);
    }
    this.product(both, tokens, "transformer.adapter.weight", this.scratch.narrow);
    state.set(this.scratch.narrow.subarray(0, state.length));
    const bias = this.vectors.get("transformer.adapter.bias");
    if (bias) for (let i = 0; i < state.length; i++) state[i] += bias[i % this.hidden];
  }

  /**
   * What distances compare: s = ln_f(x).
   * @param {Float32Array} state
   */
  normalise(state) {
    const latent = state.slice();
    this.norm(latent, latent, "transformer.ln_f.weight");
    return latent;
  }

  /**
   * The logits if the model stopped here: final norm, coda, final norm, head.
   * @param {Float32Array} state [token, hidden]
   * @param {Context} context
   * @returns {Float32Array} [token, vocab], a view that the next readout overwrites
   */
  readout(state, context) {
    const { logits } = this.scratch;
    this.product(this.lastHidden(state, context), context.tokens, "lm_head.weight", logits);
    return logits.subarray(0, context.tokens * this.config.vocab_size);
  }

  /**
   * The logits after the last token only, which spares the head for all others.
   * @param {Float32Array} state
   * @param {Context} context
   */
  readoutLast(state, context) {
    const { input, logits } = this.scratch;
    const all = this.lastHidden(state, context);
    input.set(all.subarray((context.tokens - 1) * this.hidden));
    this.product(input, 1, "lm_head.weight", logits);
    return logits.subarray(0, this.config.vocab_size);
  }

  /**
   * What the head reads: final norm, coda, final norm.
   * @param {Float32Array} state
   * @param {Context} context
   */
  lastHidden(state, context) {
    const x = this.normalise(state);
    for (let i = 0; i < this.config.n_layers_in_coda; i++) this.block(x, context, `coda.${i}`);
    const { input } = this.scratch;
    this.norm(input, x, "transformer.ln_f.weight");
    return input.subarray(0, x.length);
  }

  /**
   * One sandwich block, in place: norms 2 and 4 stand after the sums.
   * @param {Float32Array} x [token, hidden]
   * @param {Context} context
   * @param {string} name
   */
  block(x, context, name) {
    const prefix = `transformer.${name}`;
    const { input, narrow } = this.scratch;
    this.norm(input, x, `${prefix}.norm_1.weight`);
    this.attend(context, prefix);
    for (let i = 0; i < x.length; i++) x[i] = narrow[i] + x[i];
    this.norm(x, x, `${prefix}.norm_2.weight`);
    this.norm(input, x, `${prefix}.norm_3.weight`);
    this.feedForward(context.tokens, prefix);
    for (let i = 0; i < x.length; i++) x[i] = narrow[i] + x[i];
    this.norm(x, x, `${prefix}.norm_4.weight`);
  }

  /**
   * Causal attention from `scratch.input` to `scratch.narrow`.
   * @param {Context} context
   * @param {string} prefix
   */
  attend(context, prefix) {
    const { input, wide, mixed, narrow } = this.scratch;
    const { tokens } = context;
    const h = this.hidden;
    const size = h / this.config.n_heads;
    this.product(input, tokens, `${prefix}.attn.Wqkv.weight`, wide);
    const bias = this.vectors.get(`${prefix}.attn.qk_bias`);
    for (let t = 0; t < tokens; t++) {
      const row = wide.subarray(t * 3 * h, t * 3 * h + 2 * h); // queries of all heads, then keys
      if (bias) for (let i = 0; i < 2 * h; i++) row[i] += bias[i];
      rotate(row, context, t, size);
    }
    const weights = new Float32Array(tokens);
    for (let head = 0; head < h; head += size) {
      for (let t = 0; t < tokens; t++) this.attendOne(wide, mixed, weights, t, head, size);
    }
    this.product(mixed, tokens, `${prefix}.attn.proj.weight`, narrow);
  }

  /**
   * Four channels at a time, so that their sums stay in registers.
   * @param {Float32Array} wide queries, keys and values [token, 3 · hidden]
   * @param {Float32Array} mixed [token, hidden]
   * @param {Float32Array} weights room for one row of attention
   * @param {number} t the position that attends
   * @param {number} head its first channel
   * @param {number} size channels of a head, a multiple of four
   */
  attendOne(wide, mixed, weights, t, head, size) {
    const stride = 3 * this.hidden;
    const scale = 1 / Math.sqrt(size);
    const query = t * stride + head;
    let most = -Infinity;
    for (let s = 0, key = this.hidden + head; s <= t; s++, key += stride) {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let i = 0; i < size; i += 4) {
        a += wide[query + i] * wide[key + i];
        b += wide[query + i + 1] * wide[key + i + 1];
        c += wide[query + i + 2] * wide[key + i + 2];
        d += wide[query + i + 3] * wide[key + i + 3];
      }
      weights[s] = (a + b + (c + d)) * scale;
      most = Math.max(most, weights[s]);
    }
    let total = 0;
    for (let s = 0; s <= t; s++) {
      weights[s] = Math.exp(weights[s] - most);
      total += weights[s];
    }
    const out = t * this.hidden + head;
    for (let i = 0; i < size; i += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let s = 0, value = 2 * this.hidden + head + i; s <= t; s++, value += stride) {
        const weight = weights[s];
        a += weight * wide[value];
        b += weight * wide[value + 1];
        c += weight * wide[value + 2];
        d += weight * wide[value + 3];
      }
      mixed[out + i] = a / total;
      mixed[out + i + 1] = b / total;
      mixed[out + i + 2] = c / total;
      mixed[out + i + 3] = d / total;
    }
  }

  /**
   * The gated feed-forward layer from `scratch.input` to `scratch.narrow`.
   * @param {number} tokens
   * @param {string} prefix
   */
  feedForward(tokens, prefix) {
    const { input, wide, inner, narrow } = this.scratch;
    const size = this.config.intermediate_size;
    this.product(input, tokens, `${prefix}.mlp.fc.weight`, wide);
    for (let t = 0; t < tokens; t++) {
      for (let i = 0; i < size; i++) {
        const gate = wide[t * 2 * size + i];
        inner[t * size + i] = (gate / (1 + Math.exp(-gate))) * wide[t * 2 * size + size + i];
      }
    }
    this.product(inner, tokens, `${prefix}.mlp.proj.weight`, narrow);
  }

  /**
   * Root-mean-square norm of every row.
   * @param {Float32Array} out
   * @param {Float32Array} x may be `out`
   * @param {string} name
   */
  norm(out, x, name) {
    const weight = this.vector(name);
    const h = this.hidden;
    for (let start = 0; start < x.length; start += h) {
      let squares = 0;
      for (let i = start; i < start + h; i++) squares += x[i] * x[i];
      const scale = 1 / Math.sqrt(squares / h + this.config.norm_eps);
      for (let i = 0; i < h; i++) out[start + i] = x[start + i] * scale * weight[i];
    }
  }

  /**
   * Product of arrays of the scratch memory. The kernel reads the weights once for four rows, so it works on
   * whole fours where the arrays have room; what the last rows hold is not used.
   * @param {Float32Array} x
   * @param {number} rows
   * @param {string} name
   * @param {Float32Array} out
   */
  product(x, rows, name, out) {
    const weights = this.matrices.get(name);
    if (!weights) throw new Error(`The model has no matrix ${name}.`);
    const fours = this.usesKernel ? 4 * Math.ceil(rows / 4) : rows;
    this.products.product(x, Math.min(fours, this.config.block_size), weights, out);
  }

  /** @param {string} name */
  vector(name) {
    const found = this.vectors.get(name);
    if (!found) throw new Error(`The model has no weights ${name}.`);
    return found;
  }
}

/** @param {import("./weights.js").Config} config @param {number} tokens */
function scratchBytes(config, tokens) {
  const wide = 2 * Math.max(2 * config.n_embd, config.intermediate_size);
  return 4 * tokens * (3 * config.n_embd + wide + config.intermediate_size + config.vocab_size) + PADDING;
}

const PADDING = 1 << 16;

/** Arrays that every block uses anew, for the longest prompt. @param {Memory} memory @param {import("./weights.js").Config} config */
function makeScratch(memory, config) {
  const tokens = config.block_size;
  const h = config.n_embd;
  return {
    input: memory.floats(tokens * h),
    mixed: memory.floats(tokens * h),
    narrow: memory.floats(tokens * h),
    wide: memory.floats(tokens * 2 * Math.max(2 * h, config.intermediate_size)),
    inner: memory.floats(tokens * config.intermediate_size),
    logits: memory.floats(tokens * config.vocab_size),
  };
}
