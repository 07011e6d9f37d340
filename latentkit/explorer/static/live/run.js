// A run of the model while it fills, and the explorer's data made of one run or two.

import { visibleToken } from "./tokens.js";

/**
 * @import { Data, Panel } from "../trace/data.js"
 */

export const RANKS = 5; // likeliest tokens that are kept

/** Numbers and texts of one run, by the names of a trace. */
export class Run {
  /**
   * @param {string} name
   * @param {number[]} ids
   * @param {string[]} vocabulary Text of every token.
   * @param {number} iterations
   * @param {number} [generated] How many of the tokens the model wrote.
   */
  constructor(name, ids, vocabulary, iterations, generated = 0) {
    this.name = name;
    this.ids = ids;
    this.vocabulary = vocabulary;
    this.iterations = iterations;
    this.generated = generated;
    /** @type {number} */
    this.limit = iterations;
    this.isFinished = false;
    /** @type {any} */
    this.result = null;
    const cells = ids.length * (iterations + 1);
    const blank = () => new Float32Array(cells).fill(NaN);
    /** @type {Record<string, Float32Array>} */
    this.values = { distance: blank(), kl: blank(), entropy: blank(), step_size: blank() };
    this.exits = { "entropy-diff": blank(), "argmax-stability": blank() };
    this.place = new Uint16Array(cells * RANKS).fill(vocabulary.length);
    this.probability = new Float32Array(cells * RANKS).fill(NaN);
  }

  get columns() {
    return this.iterations + 1;
  }

  /** Take one iteration that the worker reports. @param {any} column */
  addColumn({ iteration, id, probability, ...values }) {
    for (const [name, numbers] of Object.entries(values)) {
      for (let t = 0; t < this.ids.length; t++) {
        this.values[name][t * this.columns + iteration] = numbers[t];
      }
    }
    if (id) this.addReadouts(iteration, id, probability);
  }

  /** @param {number} iteration @param {Int32Array} ids @param {Float32Array} probabilities [token, rank] */
  addReadouts(iteration, ids, probabilities) {
    const cells = this.ids.length * this.columns;
    for (let t = 0; t < this.ids.length; t++) {
      for (let rank = 0; rank < RANKS; rank++) {
        const to = rank * cells + t * this.columns + iteration;
        this.place[to] = ids[t * RANKS + rank] < 0 ? this.vocabulary.length : ids[t * RANKS + rank];
        this.probability[to] = probabilities[t * RANKS + rank];
      }
    }
  }

  /** Take all readouts, ordered [token, iteration, rank]. @param {Int32Array} ids @param {Float32Array} chances */
  takeReadouts(ids, chances) {
    const cells = this.ids.length * this.columns;
    let from = 0;
    for (let cell = 0; cell < cells; cell++) {
      for (let rank = 0; rank < RANKS; rank++, from++) {
        this.place[rank * cells + cell] = ids[from] < 0 ? this.vocabulary.length : ids[from];
        this.probability[rank * cells + cell] = chances[from];
      }
    }
  }

  /** Take the worker's result; a run that was stopped may have fewer iterations. @param {any} result */
  finish(result) {
    const { distance, kl, entropy, step_size } = result.values;
    const whole = new Run(this.name, this.ids, this.vocabulary, result.iterations, this.generated);
    whole.values = { distance, kl, entropy, step_size };
    whole.takeReadouts(result.readout_id, result.readout_probability);
    whole.findExits();
    return Object.assign(whole, { limit: result.limit, result, isFinished: true });
  }

  /** Numbers of the exit rules that a trace holds: latentkit.measure.exits. */
  findExits() {
    const { entropy } = this.values;
    for (let t = 0; t < this.ids.length; t++) {
      let same = 0;
      for (let i = 1; i < this.columns; i++) {
        const at = t * this.columns + i;
        const before = i === 1 ? 100 : entropy[at - 1]; // the released code starts from 100
        this.exits["entropy-diff"][at] = Math.abs(entropy[at] - before);
        same = i > 1 && this.place[at] === this.place[at - 1] ? same + 1 : 0;
        this.exits["argmax-stability"][at] = same;
      }
    }
  }

  /** Likeliest next token after an iteration, by its id. @param {number} token @param {number} iteration */
  guess(token, iteration) {
    return this.place[token * this.columns + iteration];
  }

  /** @param {string[]} labels Visible text of every token of the vocabulary, and "" at the end. @returns {Panel} */
  panel(labels) {
    const positions = this.ids.map((_, t) => t);
    const readout = { texts: labels, missing: labels.length - 1, place: this.place };
    return {
      name: this.name,
      rows: positions,
      labels: this.ids.map((id) => labels[id]),
      numbers: positions,
      columns: Array.from({ length: this.columns }, (_, i) => i),
      columnLabels: null,
      limit: this.isFinished && this.limit < this.columns && this.columns > 1 ? this.limit : null,
      variables: this.values,
      exits: this.exits,
      readout: { ranks: RANKS, ...readout, probability: this.probability },
    };
  }
}

/** Visible texts of a vocabulary, with "" for a readout that was not made. @param {string[]} vocabulary */
export function labelsOf(vocabulary) {
  return [...vocabulary.map(visibleToken), ""];
}

/** @param {Data} template @param {Run[]} runs @param {string[]} labels @returns {Data} */
export function dataOf(template, runs, labels) {
  return { ...template, panels: runs.map((run) => run.panel(labels)) };
}
