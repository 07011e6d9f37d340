/**
 * The initial states of `latentkit.models.verbs`: numpy's SeedSequence, torch's Mersenne Twister and its
 * truncated normal distribution.
 *
 * References: numpy, `random/bit_generator.pyx`; Matsumoto and Nishimura (1998), "Mersenne Twister"; torch 2.13,
 * `nn/init.py` (`trunc_normal_`) and `DistributionTemplates.h` (`normal_fill`).
 */

const POOL = 4;

/** @param {number} value @param {{constant: number}} hash */
function mixIn(value, hash) {
  value ^= hash.constant;
  hash.constant = Math.imul(hash.constant, 0x931e8875);
  value = Math.imul(value, hash.constant);
  return (value ^ (value >>> 16)) >>> 0;
}

/** @param {number} x @param {number} y */
function combine(x, y) {
  const mixed = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * The 32-bit words of a whole number, the lowest first.
 * @param {bigint} number not negative
 */
function words(number) {
  const found = [];
  do {
    found.push(Number(number & 0xffffffffn));
    number >>= 32n;
  } while (number > 0n);
  return found;
}

/**
 * The seed of one position: the first word of `numpy.random.SeedSequence((seed, position))`.
 * @param {...(number | bigint)} numbers seed and position, and a third number for other uses
 */
export function positionSeed(...numbers) {
  const entropy = numbers.flatMap((number) => words(BigInt(number)));
  const hash = { constant: 0x43b0d7e5 };
  const pool = Array.from({ length: POOL }, (_, i) => mixIn(entropy[i] ?? 0, hash));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) {
      if (from !== to) pool[to] = combine(pool[to], mixIn(pool[from], hash));
    }
  }
  for (const word of entropy.slice(POOL)) {
    for (let to = 0; to < POOL; to++) pool[to] = combine(pool[to], mixIn(word, hash));
  }
  let state = pool[0] ^ 0x8b51f9dd;
  state = Math.imul(state, Math.imul(0x8b51f9dd, 0x58f38ded));
  return (state ^ (state >>> 16)) >>> 0;
}

/**
 * Torch's generator of 32-bit numbers on the CPU, MT19937.
 * @param {number} seed
 * @returns {() => number}
 */
export function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1];
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
  }
  let place = 624;
  return () => {
    if (place === 624) {
      for (let i = 0; i < 624; i++) {
        const joined = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
      }
      place = 0;
    }
    let number = state[place++];
    number ^= number >>> 11;
    number ^= (number << 7) & 0x9d2c5680;
    number ^= (number << 15) & 0xefc60000;
    return (number ^ (number >>> 18)) >>> 0;
  };
}

/**
 * Fill a row as torch's `normal_` does on the CPU: uniform numbers, then Box and Muller's transform on blocks of
 * sixteen, the first eight with the last eight.
 * @param {Float32Array} row sixteen numbers or more
 * @param {number} scale standard deviation
 * @param {() => number} next
 */
function fillNormal(row, scale, next) {
  const uniform = () => (next() & 0xffffff) / 0x1000000;
  for (let i = 0; i < row.length; i++) row[i] = uniform();
  for (let start = 0; start + 15 < row.length; start += 16) transform(row.subarray(start, start + 16), scale);
  if (row.length % 16) {
    const last = row.subarray(row.length - 16);
    for (let i = 0; i < 16; i++) last[i] = uniform();
    transform(last, scale);
  }
}

/** @param {Float32Array} block of sixteen @param {number} scale */
function transform(block, scale) {
  for (let i = 0; i < 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - block[i]));
    const angle = 2 * Math.PI * block[i + 8];
    block[i] = radius * Math.cos(angle) * scale;
    block[i + 8] = radius * Math.sin(angle) * scale;
  }
}

/**
 * The start of one position: normal with variance 2/5, drawn again beyond three standard deviations.
 * @param {Float32Array} row where to write it
 * @param {number | bigint | null} seed null: zeros
 * @param {number} position
 */
export function initialRow(row, seed, position) {
  if (seed === null) {
    row.fill(0);
    return;
  }
  const next = twister(positionSeed(seed, position));
  const scale = Math.sqrt(row.length) * Math.sqrt(2 / (5 * row.length));
  const edge = Math.fround(3 * scale);
  const beyond = (/** @type {number} */ value) => Math.abs(value) > edge;
  fillNormal(row, scale, next);
  while (row.some(beyond)) {
    const fresh = new Float32Array(row.length);
    fillNormal(fresh, scale, next);
    row.forEach((value, i) => {
      if (beyond(value)) row[i] = fresh[i];
    });
  }
}

/**
 * Add a random direction to one row, as `latentkit.run.recurrence.perturbation` does.
 * @param {Float32Array} row
 * @param {number} size length of the direction relative to the row's
 * @param {number | bigint} seed
 * @param {number} position
 */
export function addNoise(row, size, seed, position) {
  const direction = new Float32Array(row.length);
  fillNormal(direction, 1, twister(positionSeed(seed, position, 1)));
  const scale = (size * Math.hypot(...row)) / Math.hypot(...direction);
  for (let i = 0; i < row.length; i++) row[i] += scale * direction[i];
}
