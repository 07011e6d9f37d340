// The ten steps of the guided tour. What is right is computed from the run, so it holds for every model.

import { formatNumber, formatPercent } from "../trace/format.js";
import { median, settledColumn } from "../trace/stops.js";
import { DEFAULT_SHARE } from "../trace/view.js";

/**
 * @import { State } from "../trace/view.js"
 * @import { LivePage } from "./app.js"
 * @import { Run } from "./run.js"
 */

/**
 * @typedef {object} Step
 * @property {string} title
 * @property {string} text
 * @property {string} question
 * @property {string[]} options
 * @property {Record<string, any>} settings Of the form.
 * @property {(runs: Run[]) => { option: number, found: string }} judge What happened, in numbers.
 * @property {string} why
 * @property {(runs: Run[]) => Partial<State>} [view] Where the explorer's cursor goes.
 * @property {(page: LivePage) => Promise<void>} [run] Other than what the form holds.
 */

const CAPITAL = "The capital of France is";
const LONG =
  "Once upon a time there was a small raven who wanted to see the nine worlds. Every morning it flew out, and " +
  "every evening it came back and told what it had seen.";

/** @param {Run} run @param {string} name @param {number} token */
function rowOf(run, name, token) {
  return run.values[name].subarray(token * run.columns, (token + 1) * run.columns);
}

/** Mean over all tokens at one iteration. @param {Run} run @param {string} name @param {number} iteration */
function meanAt(run, name, iteration) {
  return run.ids.reduce((sum, _, t) => sum + rowOf(run, name, t)[iteration], 0) / run.ids.length;
}

/** Iteration from which a token is settled; null if it is not. @param {Run} run @param {number} token */
function settledAt(run, token) {
  const row = rowOf(run, "distance", token);
  return settledColumn(row, DEFAULT_SHARE * row[0], run.limit < run.columns ? run.limit : null);
}

/** Settling iterations of all tokens but the first, which holds no text. @param {Run} run */
function allSettled(run) {
  return run.ids.slice(1).map((_, t) => settledAt(run, t + 1) ?? run.iterations);
}

/** @param {Run} run @param {number} id */
const quotedToken = (run, id) => `“${run.vocabulary[id]}”`;

/** Iteration from which the last token's guess stays what it is at the end. @param {Run} run @param {number} token */
function decidedAt(run, token) {
  const end = run.guess(token, run.iterations);
  let first = run.iterations;
  while (first > 0 && run.guess(token, first - 1) === end) first -= 1;
  return first;
}

/** @param {Run[]} runs @param {number} iteration distance of the two runs' curves, by token */
function largestGap([first, second], iteration) {
  const gaps = first.ids.map((_, t) =>
    Math.abs(rowOf(first, "distance", t)[iteration] - rowOf(second, "distance", t)[iteration]),
  );
  return Math.max(...gaps);
}

/** @type {Step[]} */
export const TOUR_STEPS = [
  {
    title: "One block, again and again",
    text:
      "Most language models have many layers, each used once. This one has a single core block and repeats it. " +
      "Each repetition is an iteration; it changes the state, a list of numbers, of every token.",
    question: "When does an iteration change the states most?",
    options: ["at the first iterations", "halfway", "at the last iterations"],
    settings: { prompt: CAPITAL },
    judge: ([run]) => {
      const parts = [1, run.iterations >> 1, run.iterations].map((i) => meanAt(run, "step_size", i));
      const found = `The mean step is ${parts.map(formatNumber).join(", then ")} at the first, the middle and the last iteration.`;
      return { option: parts.indexOf(Math.max(...parts)), found };
    },
    why: "Choose the variable Step size in the explorer to see it.",
    view: () => ({ variable: "step_size", iteration: 1 }),
  },
  {
    title: "Settling down",
    text:
      "The picture shows the distance of each state to where it ends up. A token counts as settled once its " +
      "distance stays below 1 % of what it was at the start.",
    question: "Do all tokens of a sentence settle at the same iteration?",
    options: ["yes, within two iterations", "no, they differ by more"],
    settings: { prompt: LONG },
    judge: ([run]) => {
      const found = allSettled(run);
      const [low, high] = [Math.min(...found), Math.max(...found)];
      return {
        option: high - low <= 2 ? 0 : 1,
        found: `They settle between iterations ${low} and ${high}, the median at ${median(found)}.`,
      };
    },
    why: "The triangles in the picture mark where each token settles.",
    view: ([run]) => {
      const found = allSettled(run);
      return { variable: "distance", token: 1 + found.indexOf(Math.max(...found)) };
    },
  },
  {
    title: "How fast the distance falls",
    text: "Near its end a state often comes closer by about the same factor at every iteration. On a logarithmic scale that is a straight line.",
    question: "Which part of the starting distance is left after 16 iterations, on average?",
    options: ["more than a tenth", "between a tenth and a hundredth", "less than a hundredth"],
    settings: { prompt: LONG },
    judge: ([run]) => {
      const share = meanAt(run, "distance", 16) / meanAt(run, "distance", 0);
      return { option: share > 0.1 ? 0 : share > 0.01 ? 1 : 2, found: `${formatPercent(share)} is left.` };
    },
    why: "Look at the curve below the picture: the straighter it falls, the steadier the factor.",
    view: () => ({ variable: "distance", iteration: 16 }),
  },
  {
    title: "Reading the model out early",
    text: "After any iteration we can ask which token would follow if the model stopped there.",
    question: `After how many iterations does the guess after “${CAPITAL}” stay what it is at the end?`,
    options: ["after 1 or 2", "after 3 to 8", "after more than 8"],
    settings: { prompt: CAPITAL },
    judge: ([run]) => {
      const last = run.ids.length - 1;
      const first = decidedAt(run, last);
      const end = quotedToken(run, run.guess(last, run.iterations));
      return {
        option: first <= 2 ? 0 : first <= 8 ? 1 : 2,
        found: `From iteration ${first} on the guess is ${end}.`,
      };
    },
    why: "The table beside the picture lists the likeliest tokens at the cursor.",
    view: ([run]) => ({ iteration: decidedAt(run, run.ids.length - 1), token: run.ids.length - 1 }),
  },
  {
    title: "Deciding and settling",
    text: "The state settles, and so does the guess. They need not do so at the same time.",
    question: "For the last token: which comes first?",
    options: [
      "the guess is final before the state has settled",
      "the state settles first",
      "both at the same iteration",
    ],
    settings: { prompt: "The opposite of hot is" },
    judge: ([run]) => {
      const last = run.ids.length - 1;
      const [guess, state] = [decidedAt(run, last), settledAt(run, last) ?? run.iterations];
      const found = `The guess is final from iteration ${guess} on, the state settled from ${state} on.`;
      return { option: guess < state ? 0 : guess > state ? 1 : 2, found };
    },
    why: "A rule that stops early bets on this difference.",
    view: ([run]) => ({ variable: "distance", token: run.ids.length - 1 }),
  },
  {
    title: "Another start",
    text: "The first state of every token is random. Here the same prompt runs from two different starts (seeds 0 and 1).",
    question: "Do both runs make the same guess for every token in the end?",
    options: ["yes, for all tokens", "for most tokens", "for fewer than half of them"],
    settings: { prompt: LONG },
    run: (page) => {
      const asked = page.form.asked();
      return page.runAll([asked, { ...asked, seed: 1 }], ["seed 0", "seed 1"]);
    },
    judge: ([first, second]) => {
      const same = first.ids.filter(
        (_, t) => first.guess(t, first.iterations) === second.guess(t, second.iterations),
      ).length;
      const share = same / first.ids.length;
      return {
        option: share === 1 ? 0 : share >= 0.5 ? 1 : 2,
        found: `The guesses agree for ${same} of ${first.ids.length} tokens.`,
      };
    },
    why: "A model whose end does not depend on the start is called path independent.",
    view: () => ({ variable: "distance", iteration: 0 }),
  },
  {
    title: "A skipped iteration",
    text: "Now iteration 8 is left out: the state passes it unchanged.",
    question: "For how many tokens is the guess at the end still the same?",
    options: ["for all of them", "for most of them", "for fewer than half of them"],
    settings: { prompt: LONG, change: { kind: "skip", iteration: 8 } },
    judge: judgeEffect,
    why: "In a model with separate layers a skipped layer is missed; here the next iteration does the same work.",
    view: () => ({ variable: "distance", iteration: 8 }),
  },
  {
    title: "A push",
    text: "After iteration 16 every state gets a push in a random direction, half as long as the state itself.",
    question: "What happens to the distance after the push?",
    options: ["it falls again: the states come back", "it stays large"],
    settings: { prompt: LONG, change: { kind: "noise", iteration: 16, size: 0.5 } },
    judge: (runs) => {
      const [after, end] = [16, 48].map((i) => meanAt(runs[1], "distance", i));
      const found = `The mean distance is ${formatNumber(after)} right after the push and ${formatNumber(end)} at iteration 48 (largest difference of the two runs there: ${formatNumber(largestGap(runs, 48))}).`;
      return { option: end < 0.1 * after ? 0 : 1, found };
    },
    why: "States that come back lie near a fixed point, which pulls them in.",
    view: () => ({ variable: "distance", iteration: 16 }),
  },
  {
    title: "A fact and a riddle",
    text: "Two prompts side by side: a short fact, and a small problem that takes several steps.",
    question: "Which last token settles later?",
    options: ["the one of the fact", "the one of the problem", "both at the same iteration"],
    settings: { prompt: CAPITAL, second: "Map AC BA CB: A2=B C1=" },
    judge: ([fact, problem]) => {
      const [a, b] = [fact, problem].map((run) => settledAt(run, run.ids.length - 1) ?? run.iterations);
      const found = `The fact settles at iteration ${a}, the problem at ${b}.`;
      return { option: a > b ? 0 : b > a ? 1 : 2, found };
    },
    why: "One pair of prompts proves nothing: the lessons repeat this with many problems of known difficulty.",
    view: () => ({ variable: "distance", iteration: 64 }),
  },
  {
    title: "Ever longer",
    text: "The model was trained with a few dozen iterations at most. Nothing keeps us from running 256.",
    question: "Does the guess for the last token still change between iterations 64 and 256?",
    options: ["no", "yes"],
    settings: { prompt: LONG, iterations: 256 },
    judge: ([run]) => {
      const last = run.ids.length - 1;
      const found = `The guess is ${quotedToken(run, run.guess(last, 64))} at iteration 64 and ${quotedToken(run, run.guess(last, 256))} at 256; it is final from iteration ${decidedAt(run, last)} on.`;
      return { option: decidedAt(run, last) <= 64 ? 0 : 1, found };
    },
    why: "That is the end of the tour. The form stays as it is: try prompts of your own.",
    view: () => ({ variable: "distance", iteration: 256 }),
  },
];

/** Of two runs, one with a change, for how many tokens the end is the same. @param {Run[]} runs */
function judgeEffect([plain, changed]) {
  const count = plain.ids.length;
  const same = plain.ids.filter(
    (_, t) => plain.guess(t, plain.iterations) === changed.guess(t, changed.iterations),
  ).length;
  const option = same === count ? 0 : same * 2 >= count ? 1 : 2;
  return { option, found: `The guess is the same for ${same} of ${count} tokens.` };
}
