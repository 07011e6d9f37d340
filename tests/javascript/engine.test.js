// The parts of the engine that need no model.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Memory } from "../../latentkit/explorer/static/engine/kernel.js";
import {
  expOfNegative,
  likeliest,
  readoutStatistics,
  referenceOf,
} from "../../latentkit/explorer/static/engine/readouts.js";
import { ExitTest } from "../../latentkit/explorer/static/engine/rules.js";
import { requestOf, textOf } from "../../latentkit/explorer/static/live/prompt.js";
import { Run } from "../../latentkit/explorer/static/live/run.js";

test("memory that is used up refuses, and does not grow under arrays in use", () => {
  const memory = new Memory(1000);
  const first = memory.floats(10);
  assert.throws(() => memory.floats(1e6), /too small/);
  assert.equal(first.length, 10);
});

test("the exponential is right to eight digits from 0 down to where it vanishes", () => {
  for (let x = 0; x > -700; x -= 0.0137) {
    assert.ok(Math.abs(expOfNegative(x) / Math.exp(x) - 1) < 1e-8, `at ${x}`);
  }
  assert.deepEqual([0, -800, -1e12, -Infinity, NaN].map(expOfNegative), [1, 0, 0, 0, NaN]);
});

test("entropy and divergence of known rows", () => {
  const even = new Float32Array([3, 3]);
  const sure = new Float32Array([Math.log(0.9), Math.log(0.1)]);
  const { entropy, kl, id, probability } = readoutStatistics(even, 2, referenceOf(sure, 2), 2);
  assert.ok(Math.abs(entropy[0] - Math.log(2)) < 1e-6);
  assert.ok(Math.abs(kl[0] - 0.368) < 1e-3);
  assert.deepEqual([...id], [0, 1]); // of equals the first
  assert.equal(probability[1], 0.5);
});

test("the likeliest are in order, and of equals the first comes first", () => {
  assert.deepEqual(likeliest([1, 5, 2, 5, 0], 3), [1, 3, 2]);
});

test("a rule on states ends when the state stands still, a count when it is reached", () => {
  const still = new ExitTest({ name: "latent-diff", threshold: 0.03, hits: 1, counts: false }, [[1, 0]]);
  assert.deepEqual([still.met([[2, 0]]), still.met([[2, 0.01]])], [false, true]);
  const stays = new ExitTest({ name: "argmax-stability", threshold: 2, hits: 1, counts: true }, [[0, 1]]);
  assert.deepEqual(
    [1, 2, 3].map(() => stays.met([[0, 1]])),
    [false, false, true],
  );
  const twice = new ExitTest({ name: "acceleration", threshold: 0.1, hits: 2, counts: false }, [[0]]);
  assert.deepEqual(
    [1, 2, 3].map((x) => twice.met([[x]])),
    [false, false, true],
  );
});

test("the exits of a run are those of measure.exit_iteration", () => {
  const run = new Run("x", [1], ["a", "b"], 3);
  run.values.entropy.set([2, 1.5, 1.4995, 1.4994]);
  run.place.set([0, 1, 1, 1]);
  run.findExits();
  const rounded = [...run.exits["entropy-diff"]].map((value) => Number(value.toFixed(4)));
  assert.deepEqual(rounded, [Number.NaN, 98.5, 0.0005, 0.0001]);
  assert.deepEqual([...run.exits["argmax-stability"]], [Number.NaN, 0, 1, 2]);
});

test("a request has the defaults of run_recurrence and refuses what it refuses", () => {
  const { limit, iterations, seed } = requestOf({ prompt: "Hi" });
  assert.deepEqual({ limit, iterations, seed }, { limit: 128, iterations: 64, seed: 0 });
  assert.throws(() => requestOf({ prompt: "Hi", iterations: 0 }), /from 1 to 256/);
  assert.throws(() => requestOf({ prompt: "Hi", keep: [65] }), /keep names iteration 65/);
  assert.throws(() => requestOf({ prompt: "\ud800" }), /half of a character/);
  assert.throws(() => requestOf({ prompt: " " }), /empty/);
});

test("a last empty message of the assistant is left out", () => {
  const messages = [
    { role: "user", content: "Hi" },
    { role: "assistant", content: " " },
  ];
  assert.deepEqual(textOf({ prompt: messages }), { messages: messages.slice(0, 1) });
});
