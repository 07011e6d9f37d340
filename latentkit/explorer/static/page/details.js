// Details of one cell: its numbers, its likeliest tokens, and the likeliest tokens of its column as text.

import { panelPrefix, predictedToken, readoutCaption, textCaption, valueText } from "../trace/captions.js";
import { formatPercent } from "../trace/format.js";
import { placeText } from "./controls.js";
import { fill, make, setText } from "./dom.js";

/**
 * @import { Panel } from "../trace/data.js"
 * @import { View } from "../trace/view.js"
 */

const NEAR = 20; // tokens of the text that are shown before and after the chosen one

export class Details {
  /** @param {View} view @param {number} index Of the panel. */
  constructor(view, index) {
    this.view = view;
    this.index = index;
    this.where = make("p", { class: "lk-where" });
    this.values = make("dl");
    this.caption = make("caption");
    this.readout = make("tbody");
    this.text = make("p", { class: "lk-text" });
    const heads = [predictedToken(view), "probability"].map((name) => make("th", { scope: "col" }, name));
    const head = make("thead", {}, make("tr", {}, ...heads));
    const table = make("table", { class: "lk-guesses" }, this.caption, head, this.readout);
    const readouts = view.data.panels[index].readout ? [table, this.text] : [];
    this.element = make("div", {}, this.where, this.values, ...readouts);
  }

  /** @param {number} row @param {number} column */
  show(row, column) {
    const { view } = this;
    const panel = view.data.panels[this.index];
    const { variables } = view.data;
    setText(this.where, panelPrefix(view, panel) + placeText(view, panel, row, column));
    fill(
      this.values,
      variables.length,
      () => make("div", {}, make("dt"), make("dd")),
      (line, i) => {
        setText(line.children[0], variables[i].label);
        setText(line.children[1], valueText(view, variables[i], panel, row, column));
      },
    );
    if (!panel.readout) return;
    this.showReadout(panel, row, column);
    this.showText(panel, row, column);
  }

  /** @param {Panel} panel @param {number} row @param {number} column */
  showReadout(panel, row, column) {
    const likeliest = this.view.readout(panel, row, column);
    setText(this.caption, readoutCaption(this.view, panel, row, column));
    fill(this.readout, likeliest.length, makeReadoutRow, (line, i) => {
      const { text, probability } = likeliest[i];
      setText(line.children[0], `“${text}”`);
      const [number, bar] = line.children[1].children;
      setText(number, formatPercent(probability));
      /** @type {HTMLElement} */ (bar).style.width = `${(100 * probability).toFixed(1)}%`;
    });
  }

  /**
   * Show the likeliest tokens of the column near a row, underlined where the text differs.
   * @param {Panel} panel
   * @param {number} row
   * @param {number} column
   */
  showText(panel, row, column) {
    const { view } = this;
    const rows = view.rowsShown(panel).filter((each) => Math.abs(each - row) <= NEAR);
    const ahead = view.data.predicts === "next" ? 1 : 0;
    fill(
      this.text,
      rows.length + 1,
      () => make("span"),
      (span, i) => {
        if (i === 0) return setText(span, textCaption(view, panel, column));
        const at = rows[i - 1];
        const text = view.likeliest(panel, at, column) ?? "…";
        const isOther = at + ahead < panel.labels.length && panel.labels[at + ahead] !== text;
        setText(span, text);
        span.className = `lk-token${isOther ? " lk-other" : ""}${at === row ? " lk-here" : ""}`;
      },
    );
  }
}

function makeReadoutRow() {
  const bar = make("span", { class: "lk-chance", "aria-hidden": "true" });
  return make("tr", {}, make("td"), make("td", {}, make("span"), bar));
}
