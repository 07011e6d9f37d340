import assert from "node:assert/strict";
import { test } from "node:test";
import { cellAfterKey } from "../../latentkit/explorer/static/page/input.js";
import { fromHalf } from "../../latentkit/explorer/static/trace/data.js";
import { example, layers, viewOf } from "./example.js";

test("rows are those of the range; a range without any shows all", () => {
  const shown = (range) => viewOf(example(), { token_range: range }).rowsShown(example().panels[0]);
  assert.deepEqual(shown([6, 7]), [1, 2]);
  assert.deepEqual(shown([50, 60]), [0, 1, 2]);
  assert.deepEqual(viewOf(layers(), { token_range: [3, 3] }).rowsShown(layers().panels[0]), [0, 1]);
});

test("the limits of the colours are those of the tokens shown, or the fixed ones", () => {
  const limits = (choices) => viewOf(example(), choices).limits();
  assert.deepEqual(limits({ token_range: [7, 7] }), [70, 100]);
  assert.deepEqual(limits({ vmin: 1, vmax: 200 }), [1, 200]);
  assert.deepEqual(limits({ vmin: 0, vmax: 10 }), [0.10000000149011612, 10]); // the scale is logarithmic
  assert.deepEqual(limits({ vmin: 0, vmax: 10, scale: "linear" }), [0, 10]);
});

test("a logarithmic scale of layers extends at most over its span", () => {
  const data = layers();
  data.panels[0].variables.kl = Float32Array.from([0, 1e-9, 2, 20]);
  assert.deepEqual(viewOf(data, { scale: "log" }).limits(), [9.999999717180685e-10, 20]);
  data.variables[0].span = 1e4;
  assert.deepEqual(viewOf(data, { scale: "log" }).limits(), [2, 20]);
  assert.deepEqual(viewOf(data, { scale: "linear" }).limits(), [0, 20]);
});

test("the default threshold is 1 % of the first known value, or that of the exit rule", () => {
  const data = example();
  data.panels[0].variables.distance[0] = NaN;
  const view = viewOf(data);
  assert.equal(view.thresholdOf(data.panels[0], 0), 0.1);
  assert.equal(view.thresholdOf(data.panels[0], 1), 1);
  assert.equal(viewOf(data, { criterion: "entropy-diff" }).thresholdOf(data.panels[0], 0), 0.005);
  assert.equal(viewOf(data, { threshold: 3 }).thresholdOf(data.panels[0], 0), 3);
});

test("a position that a trace lacks is the nearest one it has", () => {
  const view = viewOf(example(), { token: 99, iteration: 1 });
  assert.equal(view.rowOf(view.data.panels[0]), 2);
  assert.equal(view.columnOf(view.data.panels[0], -4), 0);
});

test("keys move the cursor within the rows shown", () => {
  const move = (key, choices = {}) =>
    cellAfterKey(viewOf(example(), { token: 6, iteration: 1, ...choices }), key);
  assert.deepEqual(move("ArrowRight"), { token: 6, iteration: 2 });
  assert.deepEqual(move("ArrowDown"), { token: 7, iteration: 1 });
  assert.deepEqual(move("End"), { token: 6, iteration: 3 });
  assert.deepEqual(move("PageUp"), { token: 5, iteration: 1 });
  assert.deepEqual(move("ArrowUp", { token_range: [6, 7] }), { token: 6, iteration: 1 });
  assert.equal(move("a"), null);
  const long = example();
  long.panels[0].rows = Array.from({ length: 30 }, (_, row) => row);
  const view = viewOf(long, { token: 25, iteration: 1, token_range: [0, 29] });
  assert.deepEqual(cellAfterKey(view, "PageUp"), { token: 15, iteration: 1 });
});

test("floats of 16 bits are decoded", () => {
  const bits = [0x3c00, 0xc000, 0x0001, 0x7c00, 0xfc00, 0x0000];
  assert.deepEqual(bits.map(fromHalf), [1, -2, 2 ** -24, Infinity, -Infinity, 0]);
  assert.ok(Number.isNaN(fromHalf(0x7e00)));
});
