// A small trace, made by hand, as latentkit/explorer/data.py would pack it.

import { View } from "../../latentkit/explorer/static/trace/view.js";

/** Three tokens, four iterations: the first settles at 2, the second at 3, the third never. */
const DISTANCE = [
  [100, 10, 0.5, 0.1],
  [100, 50, 20, 0.9],
  [100, 90, 80, 70],
];
const TEXTS = [" a", " b", " c"];

/** Iteration by iteration the index of the likeliest token of each row. */
const LIKELIEST = [
  [0, 0, 1, 1],
  [2, 1, 1, 1],
  [0, 1, 2, 2],
];

export function example() {
  const flat = (/** @type {number[][]} */ rows) => Float32Array.from(rows.flat());
  const panel = {
    name: "made up",
    rows: [5, 6, 7],
    labels: [" x", " a", "=1+1"],
    numbers: [5, 6, 7],
    columns: [0, 1, 2, 3],
    columnLabels: null,
    limit: null,
    untrained: -1,
    variables: { distance: flat(DISTANCE), entropy: flat(DISTANCE.map((row) => row.map(Math.log10))) },
    exits: { "entropy-diff": flat(DISTANCE.map((row) => row.map((value) => value / 100))) },
    readout: {
      ranks: 1,
      texts: TEXTS,
      missing: null,
      place: Uint16Array.from(LIKELIEST.flat()),
      probability: new Float32Array(12).fill(0.25),
    },
  };
  return {
    kind: "recurrence",
    row: "Token",
    rowPlural: "Tokens",
    column: "Iteration",
    axis: "Iterations at Test Time",
    map: "viridis",
    predicts: "next",
    variables: [
      { name: "distance", label: "Distance", meaning: "‖s − s*‖", units: "", log: true },
      { name: "entropy", label: "Entropy", meaning: "entropy of the readout", units: "nats", log: false },
    ],
    rules: [{ name: "entropy-diff", threshold: 0.005, hits: 1, counts: false }],
    maps: { viridis: new Uint8Array(768) },
    panels: [panel],
  };
}

/** Layers of a causal model, whose names are their numbers, or of a looped one. */
export function layers(names = ["3", "29"]) {
  const panel = {
    ...example().panels[0],
    rows: [3, 29],
    numbers: [3, 29],
    labels: names,
    columns: [0, 1],
    columnLabels: ["Gen0 “ a”", "Gen1 “ b”"],
    variables: { kl: Float32Array.from([1, 2, 3, 4]) },
    exits: {},
    readout: undefined,
  };
  const variables = [{ name: "kl", label: "KL", meaning: "", units: "nats", log: false }];
  const words = {
    kind: "layers",
    row: "Layer",
    rowPlural: "Layers",
    column: "Generated token",
    predicts: null,
  };
  return { ...example(), ...words, rules: [], variables, panels: [panel] };
}

/** A view of a trace with some choices; the others are those of a new explorer. */
export function viewOf(data = example(), choices = {}) {
  const [panel] = data.panels;
  const state = {
    iteration: panel.columns[panel.columns.length - 1],
    token: panel.rows[0],
    token_range: [Math.min(...panel.rows), Math.max(...panel.rows)],
    variable: data.variables[0].name,
    ...{ colormap: data.map, scale: "", vmin: null, vmax: null, criterion: "", threshold: null },
    theme: "auto",
  };
  return new View(data, { ...state, ...choices });
}
