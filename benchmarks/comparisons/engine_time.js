// Times nano in JavaScript: node engine_time.js FOLDER_OF_ENGINE MODEL_BLOCK TOKENS ITERATIONS ROUNDS
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, block, ...rest] = process.argv.slice(2);
const [tokens, iterations, rounds] = rest.map(Number);
const { Model } = await import(pathToFileURL(join(folder, "model.js")).href);
const bytes = new Uint8Array(readFileSync(block));
const wasm = new Uint8Array(readFileSync(join(folder, "product.wasm")));
const ids = Array.from({ length: tokens }, (_, i) => 30 + i);

/** @param {Uint8Array | null} kernel */
const times = async (kernel) => {
  const model = await Model.load(bytes, kernel);
  const took = [];
  for (let round = 0; round <= rounds; round++) {
    const begin = performance.now();
    const context = model.embed(ids);
    const state = model.initialState(context, 0);
    for (let i = 0; i < iterations; i++) model.step(state, context);
    model.readout(state, context);
    if (round) took.push((performance.now() - begin) / 1000);
  }
  return took;
};
console.log(JSON.stringify({ wasm: await times(wasm), plain: await times(null) }));
