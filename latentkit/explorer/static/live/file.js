// A run as a file in JSON that latentkit.open_trace reads.

/** @import { Run } from "./run.js" */

/** Little-endian bytes in base64. @param {Float32Array | Int32Array} values */
function coded(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/**
 * @param {Run} run
 * @param {Record<string, unknown>} attrs What is known of the model.
 * @param {any} asked The request of the run, with the prompt as it was typed.
 */
export function traceFile(run, attrs, asked) {
  const { result, ids, columns } = run;
  const floats = ["distance", "step_size", "step_cosine", "entropy", "kl"];
  const read = [...new Set(result.readout_id)].filter((id) => Number(id) >= 0);
  const prompt = { prompt: asked.prompt, system: asked.system, chat: asked.chat, new_tokens: run.generated };
  const facts = {
    ...attrs,
    seed: asked.seed === null ? "zeros" : asked.seed,
    limit: run.limit,
    interrupted: Number(result.interrupted),
    ...(asked.change ? { change: JSON.stringify(asked.change) } : {}),
  };
  return JSON.stringify({
    format: "latentkit trace",
    version: 1,
    kind: "recurrence",
    sizes: { token: ids.length, iteration: columns, rank: result.readout_id.length / (ids.length * columns) },
    attrs: facts,
    prompt,
    token_id: ids,
    token_text: ids.map((id) => run.vocabulary[id]),
    generated: run.generated,
    floats: Object.fromEntries(floats.map((name) => [name, coded(result.values[name])])),
    readout_id: coded(result.readout_id),
    readout_probability: coded(result.readout_probability),
    readout_texts: Object.fromEntries(read.map((id) => [String(id), run.vocabulary[Number(id)]])),
  });
}
