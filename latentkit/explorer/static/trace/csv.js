// The numbers of the picture as text for spreadsheets.

/** @import { View } from "./view.js" */

/**
 * Write the shown cells of all panels, one line each. Texts are in “quotation marks”, so that no
 * spreadsheet reads one as a formula.
 * @param {View} view
 * @returns {string}
 */
export function csv(view) {
  const { data, variable } = view;
  const names = [data.row.toLowerCase(), "text", data.column.toLowerCase().replace(" ", "_"), variable.name];
  const lines = [(view.severalPanels ? ["trace", ...names] : names).join(",")];
  for (const panel of data.panels) {
    const lead = view.severalPanels ? [quoted(panel.name)] : [];
    for (const row of view.rowsShown(panel)) {
      const start = [...lead, panel.numbers[row], quoted(panel.labels[row])];
      view.rowValues(panel, panel.variables[variable.name], row).forEach((value, column) => {
        lines.push([...start, panel.columns[column], Number.isNaN(value) ? "" : value].join(","));
      });
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}

/** @param {string} text */
function quoted(text) {
  return `"“${text.replaceAll('"', '""')}”"`;
}
