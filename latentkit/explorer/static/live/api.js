// What the page offers to scripts: `await latentkit.trace({…})`.

import { requestOf } from "./prompt.js";

/**
 * @import { Engine, Facts } from "./engine.js"
 * @import { Asked } from "./prompt.js"
 */

/**
 * The object `latentkit` of the window.
 * @param {Engine} engine
 * @param {Promise<Facts>} ready
 */
export function scripting(engine, ready) {
  return {
    ready,
    /**
     * Trace a prompt. Names and defaults are those of `latentkit.run_recurrence`; arrays are ordered as there,
     * one row after the other: distance [token, iteration], readout_id [token, iteration, rank], states of the
     * kept iterations [token, hidden], logits of the last iteration [token, vocab].
     * @param {Asked} asked
     */
    async trace(asked) {
      const request = requestOf(asked);
      await ready;
      const { values, effect, ...found } = await engine.call("trace", request);
      return { ...found, ...values };
    },
    /** Token ids of a prompt. @param {Asked} asked @returns {Promise<number[]>} */
    async encode(asked) {
      await ready;
      return engine.call("encode", requestOf(asked));
    },
  };
}
