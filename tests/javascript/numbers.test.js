import assert from "node:assert/strict";
import { test } from "node:test";
import { labelledPlaces } from "../../latentkit/explorer/static/canvas/labels.js";
import * as format from "../../latentkit/explorer/static/trace/format.js";
import * as scale from "../../latentkit/explorer/static/trace/scale.js";
import { median, savedShare } from "../../latentkit/explorer/static/trace/stops.js";

test("numbers have three digits, four from 100 on, and powers of ten at the ends", () => {
  const written = {
    0: 0,
    0.00123: 0.001234,
    "1.23·10⁻⁵": 0.00001234,
    "−1.5": -1.5,
    99.9: 99.94,
    123.5: 123.46,
    "1.23·10⁶": 1_234_567,
    "−2·10⁻⁹": -2e-9,
    "∞": Infinity,
    "−∞": -Infinity,
    unknown: NaN,
  };
  for (const [text, value] of Object.entries(written)) assert.equal(format.formatNumber(value), text);
});

test("shares are percentages", () => {
  const shares = [0, 0.0004, 0.0123, 0.0999, 0.5, 1, NaN].map(format.formatPercent);
  assert.deepEqual(shares, ["0 %", "< 0.1 %", "1.2 %", "10 %", "50 %", "100 %", "unknown"]);
});

test("ticks are round, in order and between the limits", () => {
  assert.deepEqual(scale.ticks([0, 64], false), [0, 20, 40, 60]);
  assert.deepEqual(scale.ticks([0.5, 200], true), [1, 10, 100]);
  assert.deepEqual(scale.ticks([3, 30], true), [5, 10, 20]);
  assert.deepEqual(scale.ticks([0, 10], false, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(scale.ticks([1e-12, 1e9], true), [1e-12, 1e-8, 1e-4, 1, 1e4, 1e8]);
});

test("a place on a scale and its value are inverse", () => {
  for (const log of [true, false]) {
    const place = scale.scaleOf([2, 50], log);
    assert.equal(place(2), 0);
    assert.equal(place(50), 1);
    assert.ok(Math.abs(scale.unscale([2, 50], log, place(7)) - 7) < 1e-12);
  }
  assert.ok(Number.isNaN(scale.scaleOf([1, 10], true)(0)));
});

test("automatic limits leave out what a scale cannot show", () => {
  const rows = [
    [0, 3],
    [NaN, 9, Infinity],
  ];
  assert.deepEqual(scale.limitsOf(rows, true), [3, 9]);
  assert.deepEqual(scale.limitsOf(rows, false), [0, 9]);
  assert.deepEqual(scale.limitsOf([[4]], true), [2, 8]);
  assert.deepEqual(scale.limitsOf([[]], false), [0, 1]);
});

test("fixed limits replace automatic ones, unless the scale cannot show them", () => {
  const fixed = (vmin, vmax, log) => scale.fixedLimits([2, 8], vmin, vmax, log);
  assert.deepEqual(fixed(null, undefined, false), [2, 8]);
  assert.deepEqual(fixed(1, 10, true), [1, 10]);
  assert.deepEqual(fixed(0, 10, true), [2, 10]); // 0 has no logarithm
  assert.deepEqual(fixed(0, 10, false), [0, 10]);
  assert.deepEqual(fixed(9, null, true), [9, 90]);
  assert.deepEqual(fixed(null, 1, false), [0, 1]);
  assert.deepEqual(fixed(10, 1, false), [2, 8]);
});

test("what a stop saves is a share of the iterations from the first to the last", () => {
  assert.equal(savedShare([0, 1, 2, 4], 2), 0.5);
  assert.equal(savedShare([0, 1, 2, 4], null), 0);
  assert.ok(Number.isNaN(savedShare([3], 0)));
});

test("the median of an even count is the mean of the middle two", () => {
  assert.equal(median([9, 1, 4]), 4);
  assert.equal(median([10, 9, 1, 4]), 6.5);
});

test("labels of rows never overlap, in whatever order and distance the positions are", () => {
  const orders = [(i) => i, (i) => 10 * i, (i) => 500 - i, (i) => (i * 37) % 512, (i) => 182 + i];
  for (let count = 1; count <= 512; count += 7) {
    const rowHeight = Math.min(22, 680 / count);
    for (const order of orders) {
      const positions = Array.from({ length: count }, (_, i) => order(i));
      const places = labelledPlaces(positions, rowHeight, 10);
      assert.ok(places.length > 0);
      for (let i = 1; i < places.length; i++) assert.ok((places[i] - places[i - 1]) * rowHeight >= 10);
    }
  }
});

test("labels are at round positions where there are any", () => {
  const positions = Array.from({ length: 100 }, (_, i) => 182 + i);
  const labelled = labelledPlaces(positions, 3, 10).map((place) => positions[place]);
  assert.deepEqual(labelled.slice(0, 3), [185, 190, 195]);
});
