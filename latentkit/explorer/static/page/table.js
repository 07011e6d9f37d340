// The numbers of one column as a table.

import { columnName, labelWithUnits, predictedToken } from "../trace/captions.js";
import { formatNumber, formatPercent } from "../trace/format.js";
import { make } from "./dom.js";

/**
 * @import { Panel } from "../trace/data.js"
 * @import { View } from "../trace/view.js"
 */

/** Make a table of all rows shown, at the chosen column of the first trace. @param {View} view */
export function makeTable(view) {
  const [panel] = view.data.panels;
  const column = view.columnOf(panel);
  const lead = view.severalPanels ? `${panel.name}, ` : "";
  const caption = `All ${view.data.rowPlural.toLowerCase()} shown, at ${lead}${columnName(view, panel, column)}`;
  const heads = headings(view, panel).map((name) => make("th", { scope: "col" }, name));
  const rows = view.rowsShown(panel).map((row) => {
    const [first, ...others] = cells(view, panel, row, column);
    return make("tr", {}, make("th", { scope: "row" }, first), ...others.map((text) => make("td", {}, text)));
  });
  return make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...rows),
  );
}

/** Whether rows have more than a number. @param {Panel} panel */
function hasNames(panel) {
  return panel.labels.some((label, row) => label !== String(panel.numbers[row]));
}

/** @param {View} view @param {Panel} panel @returns {string[]} */
function headings(view, panel) {
  const readout = panel.readout ? [`Likeliest ${predictedToken(view)}`, "Probability"] : [];
  const stop = view.hasTokens ? ["Stop at iteration"] : [];
  const text = hasNames(panel) ? ["Text"] : [];
  return [view.data.row, ...text, ...view.data.variables.map(labelWithUnits), ...readout, ...stop];
}

/**
 * @param {View} view
 * @param {Panel} panel
 * @param {number} row
 * @param {number} column
 * @returns {string[]}
 */
function cells(view, panel, row, column) {
  const values = view.data.variables.map(({ name }) => formatNumber(view.value(panel, name, row, column)));
  const [best] = view.readout(panel, row, column);
  const known = best ? [`“${best.text}”`, formatPercent(best.probability)] : ["unknown", "unknown"];
  const stop = view.hasTokens ? view.stopOf(panel, row) : null;
  return [
    String(panel.numbers[row]),
    ...(hasNames(panel) ? [`“${panel.labels[row]}”`] : []),
    ...values,
    ...(panel.readout ? known : []),
    ...(view.hasTokens ? [stop === null ? "none" : String(panel.columns[stop])] : []),
  ];
}
