import assert from "node:assert/strict";
import { test } from "node:test";
import * as captions from "../../latentkit/explorer/static/trace/captions.js";
import { csv } from "../../latentkit/explorer/static/trace/csv.js";
import { example, layers, viewOf } from "./example.js";

function stops(choices, data = example()) {
  const view = viewOf(data, choices);
  return captions.describeStops(view, view.data.panels[0]);
}

test("the sentence about stops counts what settles", () => {
  assert.equal(
    stops({}),
    "Token 5 “ x” settles at iteration 2, which would save 33 % of the iterations. Of the 3 tokens shown, " +
      "2 settle (median iteration 2.5). Together they would save 11 % of the iterations. At these iterations " +
      "the likeliest next token equals the final one for 3 of 3.",
  );
});

test("one row that settles is a singular", () => {
  assert.match(
    stops({ threshold: 0.5 }),
    /Of the 3 tokens shown, 1 settles \(iteration 3\)\. Together they would save 0 %/,
  );
});

test("no row that settles is none that settles, with one s", () => {
  assert.equal(
    stops({ threshold: 0.01 }),
    "Token 5 “ x” does not settle by iteration 3. None of the 3 tokens shown settles.",
  );
});

test("an exit rule exits", () => {
  const rule = { criterion: "entropy-diff" };
  assert.match(
    stops({ ...rule, threshold: 0.5 }),
    /^Token 5 “ x” exits at iteration 1, which would save 67 %/,
  );
  assert.match(
    stops({ ...rule, threshold: 0.5 }),
    /Of the 3 tokens shown, 2 exit \(median iteration 1.5\)\./,
  );
  assert.match(
    stops({ ...rule, threshold: 0.0001 }),
    /^Token 5 “ x” does not exit by iteration 3\. None of the 3 tokens shown exits\.$/,
  );
  assert.match(stops({ ...rule, threshold: 2 }), /All 3 tokens shown exit \(median iteration 0\)\./);
});

test("a range of one token has one sentence", () => {
  assert.equal(stops({ token_range: [7, 7], token: 7 }), "Token 7 “=1+1” does not settle by iteration 3.");
});

test("a trace of iteration 0 alone saves nothing that could be a number", () => {
  const data = example();
  data.panels[0].columns = [0];
  data.panels[0].variables.distance = Float32Array.from([1, 1, 1]);
  assert.equal(
    stops({ threshold: 2 }, data),
    "Token 5 “ x” settles at iteration 0. All 3 tokens shown settle (median iteration 0).",
  );
});

test("a cell is described with its values and its likeliest token", () => {
  const view = viewOf();
  assert.equal(
    captions.describeCell(view, view.data.panels[0], 1, 2),
    "Token 6 “ a”, iteration 2. Distance 20, Entropy 1.3 nats. Likeliest next token: “ b”, 25 %.",
  );
});

test("two traces are named in front of each sentence", () => {
  const data = example();
  data.panels = [data.panels[0], { ...data.panels[0], name: "other" }];
  const view = viewOf(data);
  assert.match(captions.describeCell(view, data.panels[1], 0, 0), /^other: Token 5/);
  assert.equal(captions.pictureTitle(view, data.panels[1]), "other: Distance ‖s − s*‖");
});

test("a readout is in the conditional, and unknown after an exit", () => {
  const data = example();
  const view = viewOf(data);
  const [panel] = data.panels;
  assert.equal(
    captions.readoutCaption(view, panel, 0, 1),
    "If stopped at iteration 1, the next token would be “ a”.",
  );
  panel.readout.missing = 0;
  assert.equal(
    captions.readoutCaption(view, panel, 0, 1),
    "The token after iteration 1 is unknown: decoding exited earlier.",
  );
});

test("a layer's name is left out where it only repeats the number", () => {
  const name = (names) => {
    const view = viewOf(layers(names));
    return captions.rowName(view, view.data.panels[0], 1);
  };
  assert.equal(name(["3", "29"]), "Layer 29");
  assert.equal(name(["prelude", "core 29"]), "Layer 29 (core 29)");
  assert.equal(name(["core 3", "coda 29"]), "Layer 29 (coda 29)");
});

test("marks of cells and columns are explained if there are any", () => {
  const marks = (data, choices = {}) => {
    const view = viewOf(data, choices);
    return captions.describeMarks(view, view.limits());
  };
  assert.equal(marks(example()), "");
  const data = layers();
  data.panels[0].variables.kl = Float32Array.from([0, NaN, 2, 20]);
  assert.equal(marks(data), "Striped: unknown.");
  assert.equal(marks(data, { scale: "log" }), "Striped: unknown. Grey: 0.");
  data.variables[0].span = 15;
  assert.equal(marks(data, { scale: "log" }), "Striped: unknown. Grey: 0 or below 2.");
  data.panels[0].untrained = 1;
  assert.match(marks(data), /Dashed line: end of the iterations in training\.$/);
});

test("a line of the CSV is a cell, and no text can be a formula", () => {
  const lines = csv(viewOf(example(), { token_range: [6, 7] })).split("\r\n");
  assert.equal(lines.length, 1 + 2 * 4 + 1);
  assert.equal(lines[0], "token,text,iteration,distance");
  assert.equal(lines[5], '7,"“=1+1”",0,100');
});
