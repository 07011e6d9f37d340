// What the model is asked: texts of the page or a script as the worker takes them, checked at the door.

/**
 * @typedef {object} Asked
 * @property {string | { role: string, content: string }[]} prompt
 * @property {string | null} [system]
 * @property {boolean} [chat]
 * @property {number} [iterations]
 * @property {number | null} [limit] Iteration whose state is the limit.
 * @property {number | null} [seed] null: zeros.
 * @property {number[]} [keep] Iterations whose states are returned.
 * @property {import("../engine/trace.js").Change | null} [change] What is done to one iteration.
 */

export const MOST_ITERATIONS = 256;

/** The request of a run; its names and defaults are those of run_recurrence. @param {Asked} asked */
export function requestOf(asked) {
  const { iterations = 64, limit = null, seed = 0, keep = [] } = asked;
  if (!isWhole(iterations, 1, MOST_ITERATIONS)) {
    throw new Error(`iterations must be a whole number from 1 to ${MOST_ITERATIONS}, got ${iterations}.`);
  }
  if (limit !== null && !isWhole(limit, iterations, 10 * MOST_ITERATIONS)) {
    throw new Error(`limit must be a whole number from iterations (${iterations}) on, got ${limit}.`);
  }
  if (seed !== null && !isWhole(seed, 0, Number.MAX_SAFE_INTEGER)) {
    throw new Error(`seed must be a whole number from 0 on, or null for zeros, got ${seed}.`);
  }
  const outside = keep.find((i) => !isWhole(i, 0, iterations));
  if (outside !== undefined) {
    throw new Error(`keep names iteration ${outside}; the trace has 0 to ${iterations}.`);
  }
  const choices = { iterations, limit: limit ?? Math.max(128, iterations), seed, keep, top: 5 };
  return { ...textOf(asked), ...choices, change: asked.change ?? null };
}

/** @param {unknown} value @param {number} low @param {number} high */
function isWhole(value, low, high) {
  return Number.isInteger(value) && Number(value) >= low && Number(value) <= high;
}

/** The texts of a request: plain text, or messages. @param {Asked} asked */
export function textOf({ prompt, system = null, chat = false }) {
  const isText = typeof prompt === "string";
  let messages = isText ? null : prompt;
  if (isText && (system !== null || chat)) {
    messages = [
      ...(system === null ? [] : [{ role: "system", content: system }]),
      { role: "user", content: prompt },
    ];
  }
  const texts = messages ? messages.map(({ content }) => content) : [prompt];
  if (!texts.length || texts.some((text) => typeof text !== "string")) {
    throw new Error("prompt must be a text, or a list of messages with role and content.");
  }
  if (isText && !prompt.trim()) throw new Error("The prompt is empty. Type some text.");
  if (texts.some((text) => /\p{Cs}/u.test(String(text)))) {
    throw new Error("The prompt holds half of a character (an unpaired surrogate), which no text can.");
  }
  const last = messages?.at(-1);
  if (messages && last?.role === "assistant" && !last.content.trim()) messages = messages.slice(0, -1);
  return messages ? { messages } : { prompt };
}

/**
 * Whether a prompt holds a text that is traced and never answered.
 * @param {{ prompt?: unknown, messages?: { content: string }[] }} request
 * @param {string[]} refused
 */
export function isRefused({ prompt, messages }, refused) {
  const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^a-z]+/g, " ");
  const all = plain([prompt ?? "", ...(messages ?? []).map(({ content }) => content)].join(" "));
  return refused.some((text) => all.includes(plain(text).trim()));
}
