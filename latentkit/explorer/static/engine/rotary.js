// Rotary positions: pairs of channels of each head turn by an angle that grows with the position.

/**
 * Cosine and sine of every rotary angle, rounded to float32 step by step as in `rope_table`.
 * @param {import("./weights.js").Config} config
 * @param {number} tokens
 */
export function rotaryTable(config, tokens) {
  const size = config.n_embd / config.n_heads;
  const pairs = size / 2;
  const cos = new Float32Array(tokens * pairs);
  const sin = new Float32Array(tokens * pairs);
  for (let j = 0; j < pairs; j++) {
    const frequency = Math.fround(1 / Math.fround(config.rope_base ** Math.fround((2 * j) / size)));
    for (let t = 0; t < tokens; t++) {
      const angle = Math.fround(t * frequency);
      cos[t * pairs + j] = Math.cos(angle);
      sin[t * pairs + j] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Turn the channel pairs (0, 1), (2, 3), … of each head by the angles of a position, in place.
 * @param {Float32Array} row heads of queries and keys, one after the other
 * @param {{cos: Float32Array, sin: Float32Array}} table
 * @param {number} t
 * @param {number} size channels of a head
 */
export function rotate(row, { cos, sin }, t, size) {
  const pairs = size / 2;
  for (let i = 0; i < row.length; i += 2) {
    const angle = t * pairs + (i % size) / 2;
    const [even, odd] = [row[i], row[i + 1]];
    row[i] = even * cos[angle] - odd * sin[angle];
    row[i + 1] = odd * cos[angle] + even * sin[angle];
  }
}
