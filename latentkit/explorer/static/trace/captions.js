// Sentences about cells, rows and stops: captions, labels of controls, text for screen readers.

import { formatNumber, formatPercent } from "./format.js";
import { median, savedShare } from "./stops.js";

/**
 * @import { Panel, Variable } from "./data.js"
 * @import { Limits } from "./scale.js"
 * @import { View } from "./view.js"
 */

/**
 * "left: " in front of a sentence about one of several panels.
 * @param {View} view
 * @param {Panel} panel
 */
export function panelPrefix(view, panel) {
  return view.severalPanels ? `${panel.name}: ` : "";
}

/** @param {View} view @param {Panel} panel @param {number} row */
export function rowName(view, panel, row) {
  return `${view.data.row} ${rowLabel(view, panel, row)}`;
}

/**
 * Number and text of a row: a token in quotation marks, the name of a layer in brackets unless it
 * only repeats the number.
 * @param {View} view @param {Panel} panel @param {number} row
 */
export function rowLabel(view, panel, row) {
  const [number, text] = [panel.numbers[row], panel.labels[row]];
  if (view.hasTokens) return `${number} “${text}”`;
  return text === String(number) ? text : `${number} (${text})`;
}

/** @param {View} view @param {Panel} panel @param {number} column */
export function columnName(view, panel, column) {
  return panel.columnLabels?.[column] ?? `${view.data.column.toLowerCase()} ${panel.columns[column]}`;
}

/**
 * @param {View} view
 * @param {Variable} variable
 * @param {Panel} panel
 * @param {number} row
 * @param {number} column
 */
export function valueText(view, { name, units }, panel, row, column) {
  const value = view.value(panel, name, row, column);
  return formatNumber(value) + (units && !Number.isNaN(value) ? ` ${units}` : "");
}

/** @param {Variable} variable */
export function labelWithUnits({ label, units }) {
  return label + (units ? ` (${units})` : "");
}

/** Heading of a picture. @param {View} view @param {Panel} panel */
export function pictureTitle(view, panel) {
  const { label, meaning } = view.variable;
  return panelPrefix(view, panel) + (meaning.startsWith("‖") ? `${label} ${meaning}` : meaning || label);
}

/**
 * What striped and grey cells and a dashed line mean; "" if there are none.
 * @param {View} view
 * @param {Limits} limits
 */
export function describeMarks(view, limits) {
  const { data, variable, log } = view;
  const place = view.placeOf(limits);
  let [unknown, blank] = [false, false];
  for (const panel of data.panels) {
    for (const row of view.rowsShown(panel)) {
      for (const value of view.rowValues(panel, panel.variables[variable.name], row)) {
        if (Number.isNaN(value)) unknown = true;
        else if (log && Number.isNaN(place(value))) blank = true;
      }
    }
  }
  const below = variable.span ? ` or below ${formatNumber(limits[0])}` : "";
  const marks = [
    unknown && "Striped: unknown.",
    blank && `Grey: 0${below}.`,
    data.panels.some(({ untrained = -1 }) => untrained >= 0) &&
      "Dashed line: end of the iterations in training.",
  ];
  return marks.filter(Boolean).join(" ");
}

/** @param {View} view */
export function predictedToken(view) {
  return view.data.predicts === "next" ? "next token" : "token";
}

/**
 * All about one cell, for screen readers.
 * @param {View} view
 * @param {Panel} panel
 * @param {number} row
 * @param {number} column
 */
export function describeCell(view, panel, row, column) {
  const where = `${rowName(view, panel, row)}, ${columnName(view, panel, column)}`;
  const values = view.data.variables.map((one) => `${one.label} ${valueText(view, one, panel, row, column)}`);
  const [best] = view.readout(panel, row, column);
  const readout = best
    ? ` Likeliest ${predictedToken(view)}: “${best.text}”, ${formatPercent(best.probability)}.`
    : "";
  return `${panelPrefix(view, panel)}${where}. ${values.join(", ")}.${readout}`;
}

/** @param {View} view @param {Panel} panel @param {number} row @param {number} column */
export function readoutCaption(view, panel, row, column) {
  const where = columnName(view, panel, column);
  const best = view.likeliest(panel, row, column);
  if (best === null) return `The token after ${where} is unknown: decoding exited earlier.`;
  return `If stopped at ${where}, the ${predictedToken(view)} would be “${best}”.`;
}

/** @param {View} view @param {Panel} panel @param {number} column */
export function textCaption(view, panel, column) {
  const where = columnName(view, panel, column);
  return view.data.predicts === "next"
    ? `Likeliest next tokens if stopped at ${where} (underlined: differs from the text): `
    : `Text if stopped at ${where} (underlined: another token was chosen): `;
}

/**
 * Where the chosen row and all shown rows stop, and what that saves.
 * @param {View} view
 * @param {Panel} panel
 */
export function describeStops(view, panel) {
  const rows = view.rowsShown(panel);
  const one = describeRowStop(view, panel, view.rowOf(panel));
  return rows.length < 2 ? one : `${one} ${describeAllStops(view, panel, rows)}`;
}

/** @param {View} view @param {Panel} panel @param {number} row */
function describeRowStop(view, panel, row) {
  const verb = view.rule ? "exit" : "settle";
  const stop = view.stopOf(panel, row);
  const name = rowName(view, panel, row);
  const last = panel.columns.length - 1;
  if (stop === null) return `${name} does not ${verb} by ${columnName(view, panel, last)}.`;
  const saved = savedShare(panel.columns, stop);
  const saves = Number.isNaN(saved) ? "" : `, which would save ${formatPercent(saved)} of the iterations`;
  return `${name} ${verb}s at ${columnName(view, panel, stop)}${saves}.`;
}

/** @param {View} view @param {Panel} panel @param {number[]} rows */
function describeAllStops(view, panel, rows) {
  const stops = rows.map((row) => view.stopOf(panel, row));
  const known = stops.filter((stop) => stop !== null);
  const counted = countOfStops(known.length, rows.length, view.rule ? "exit" : "settle");
  if (!known.length) return `${counted}.`;
  const middle = median(known.map((stop) => panel.columns[stop]));
  const where = `${known.length > 1 ? "median " : ""}${view.data.column.toLowerCase()} ${middle}`;
  const shares = stops.map((stop) => savedShare(panel.columns, stop));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const saves = Number.isNaN(mean)
    ? ""
    : ` Together they would save ${formatPercent(mean)} of the iterations.`;
  return `${counted} (${where}).${saves}${describeAgreement(view, panel, rows, stops)}`;
}

/**
 * Count rows in words: "None of the 5 tokens shown settles", "Of the 5 tokens shown, 1 settles".
 * @param {number} count
 * @param {number} of At least 2.
 * @param {string} verb
 */
export function countOfStops(count, of, verb) {
  if (count === 0) return `None of the ${of} tokens shown ${verb}s`;
  if (count === of) return `All ${of} tokens shown ${verb}`;
  const conjugated = verb + (count === 1 ? "s" : "");
  return `Of the ${of} tokens shown, ${count} ${conjugated}`;
}

/**
 * How many rows predict at their stop what they predict at the end.
 * @param {View} view @param {Panel} panel @param {number[]} rows @param {(number | null)[]} stops
 */
function describeAgreement(view, panel, rows, stops) {
  const { readout, columns } = panel;
  if (!readout || columns.length < 2) return "";
  const last = columns.length - 1;
  const best = (/** @type {number} */ row, /** @type {number} */ column) =>
    readout.place[row * columns.length + column];
  const same = rows.filter((row, i) => best(row, stops[i] ?? last) === best(row, last));
  const what = `the likeliest ${predictedToken(view)} equals the final one`;
  return ` At these iterations ${what} for ${same.length} of ${rows.length}.`;
}
