// The criterion by which a row stops, its threshold, and the sentences about it.

import { describeStops, panelPrefix } from "../trace/captions.js";
import { formatNumber } from "../trace/format.js";
import { scaleOf, unscale } from "../trace/scale.js";
import { list, showSlider, slider } from "./controls.js";
import { make, setText } from "./dom.js";

/**
 * @import { View } from "../trace/view.js"
 * @import { Actions } from "./controls.js"
 */

const STEPS = 400; // of the slider
const NOTE = "▸ in the heatmap and the red line in the curve mark the iteration at which a token stops.";

export class ThresholdControls {
  /** @param {View} view @param {Actions} actions */
  constructor(view, actions) {
    this.view = view;
    this.actions = actions;
    const { set } = actions;
    const rules = view.data.rules.map(({ name }) => [name, `exit rule ${name}`]);
    const criteria = [["", "settled: stays below the threshold"], ...rules];
    this.criterion = list("Criterion", criteria, (criterion) => set({ criterion, threshold: null }));
    this.threshold = slider("Threshold", (step) => this.takeThreshold(step));
    const reset = { type: "button", onclick: () => set({ threshold: null }) };
    this.reset = make("button", reset, "Default threshold");
    const { label, shown } = this.threshold;
    this.text = make("p", { class: "lk-stop" });
    this.element = make(
      "div",
      { class: "lk-stops" },
      make("div", { class: "lk-choices" }, this.criterion.label, label, shown, this.reset),
      this.text,
      make("p", { class: "lk-note" }, NOTE),
    );
  }

  /** @param {number} step */
  takeThreshold(step) {
    const { view } = this;
    const value = view.rule?.counts
      ? step
      : Number(unscale(view.thresholdLimits(), view.thresholdIsLog, step / STEPS).toPrecision(4));
    this.actions.set({ threshold: value });
    this.actions.announce(() => describeStops(view, view.data.panels[0]));
  }

  show() {
    const { view } = this;
    const [panel] = view.data.panels;
    const value = view.thresholdOf(panel, view.rowOf(panel));
    const limits = view.thresholdLimits();
    const { input, shown } = this.threshold;
    const counts = view.rule?.counts;
    Object.assign(input, counts ? { min: 1, max: limits[1] } : { min: 0, max: STEPS });
    const step = counts ? value : Math.round(STEPS * scaleOf(limits, view.thresholdIsLog)(value));
    const units = view.rule ? "" : ` ${view.variable.units}`.trimEnd();
    const origin = view.hasDefaultThreshold && !view.rule ? " (1 % of the first value)" : "";
    const text = `${formatNumber(value)}${units}${origin}`;
    shown.textContent = text;
    showSlider(input, Number.isFinite(step) ? step : 0, text);
    this.criterion.input.value = view.rule?.name ?? "";
    this.reset.disabled = view.hasDefaultThreshold;
    const sentences = view.data.panels.map((one) => panelPrefix(view, one) + describeStops(view, one));
    setText(this.text, sentences.join("\n"));
  }
}
