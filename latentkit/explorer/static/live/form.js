// The form of the live page: prompt, choices of a run, and what else can be done with it.

import { make } from "../page/dom.js";
import { MOST_ITERATIONS } from "./prompt.js";

/**
 * @typedef {object} Preset A prompt with its choices.
 * @property {string} group
 * @property {string} label
 * @property {string} prompt
 * @property {string | null} system
 * @property {boolean} chat
 * @property {string} [answer] Beginning of the answer.
 *
 * @typedef {object} Rule An exit rule with its default threshold.
 * @property {string} name
 * @property {number} threshold
 * @property {number} hits
 * @property {boolean} counts
 *
 * @typedef {{ run: () => void, stop: () => void, write: () => void }} FormActions
 */

/** @param {string} text @param {HTMLElement} control @param {string} [kind] */
function fieldOf(text, control, kind = "lv-field") {
  return make("label", { class: kind }, make("span", {}, text), control);
}

/** @param {string[][]} options Values and texts. @param {() => void} [onchange] */
function choice(options, onchange = () => {}) {
  return make("select", { onchange }, ...options.map(([value, text]) => make("option", { value }, text)));
}

/** @param {number} value @param {number} min @param {number} max @param {number} [step] */
function number(value, min, max, step = 1) {
  const bounds = { min: String(min), max: String(max), step: String(step) };
  return make("input", { type: "number", value: String(value), ...bounds, inputmode: "decimal" });
}

/** @param {string} rows */
const textArea = (rows) => make("textarea", { rows, spellcheck: "false", dir: "auto" });

export class Form {
  /** @param {Preset[]} presets @param {Rule[]} rules @param {number} context @param {FormActions} actions */
  constructor(presets, rules, context, actions) {
    this.presets = presets;
    this.rules = rules;
    this.prompt = textArea("2");
    this.system = textArea("3");
    this.answer = textArea("2");
    this.second = textArea("2");
    this.preset = this.buildPresets();
    const kinds = [
      ["plain", "plain text"],
      ["chat", "chat message"],
    ];
    this.kind = choice(kinds, () => this.showSystem());
    this.iterations = number(64, 1, MOST_ITERATIONS);
    this.seed = number(0, 0, Number.MAX_SAFE_INTEGER);
    this.run = make("button", { type: "submit", class: "lv-run" }, "Run");
    this.stop = make("button", { type: "button", disabled: true, onclick: actions.stop }, "Stop");
    this.progress = make("progress", { max: "1", value: "0", "aria-label": "Progress of the run" });
    this.status = make("p", { class: "lv-status", role: "status" });
    this.systemField = fieldOf("System prompt (may be empty)", this.system, "lv-wide");
    this.answerField = fieldOf("Beginning of the answer (may be empty)", this.answer, "lv-wide");
    this.writing = this.buildWriting(context, actions);
    this.changing = this.buildChange();
    const comparing = make(
      "details",
      {},
      make("summary", {}, "Compare with a second prompt"),
      fieldOf("Second prompt", this.second, "lv-wide"),
    );
    this.element = make(
      "form",
      { class: "lv-form", novalidate: true, "aria-label": "Run the model" },
      fieldOf("Example", this.preset, "lv-wide"),
      fieldOf("Prompt", this.prompt, "lv-wide"),
      this.systemField,
      this.answerField,
      make(
        "div",
        { class: "lv-row" },
        fieldOf("The prompt is a", this.kind),
        fieldOf("Iterations", this.iterations),
        fieldOf("Seed", this.seed),
        make("div", { class: "lv-row lv-actions" }, this.run, this.stop, this.progress),
      ),
      this.status,
      make("div", { class: "lv-extras" }, comparing, this.changing, this.writing),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      actions.run();
    });
    this.showSystem();
  }

  buildPresets() {
    const groups = [...new Set(this.presets.map(({ group }) => group))].map((group) => {
      const options = this.presets.flatMap((one, index) =>
        one.group === group ? [make("option", { value: String(index) }, one.label)] : [],
      );
      return make("optgroup", { label: group }, ...options);
    });
    const list = make("select", {}, make("option", { value: "" }, "choose …"), ...groups);
    list.addEventListener("change", () => {
      if (list.value !== "") this.fill(this.presets[Number(list.value)]);
    });
    return list;
  }

  /** @param {number} context @param {FormActions} actions */
  buildWriting(context, actions) {
    this.count = number(12, 1, Math.min(64, context));
    this.rule = choice([["", "none: all iterations"], ...this.rules.map(({ name }) => [name, name])], () => {
      const rule = this.rules.find(({ name }) => name === this.rule?.value);
      if (this.threshold && rule) this.threshold.value = String(rule.threshold);
      if (this.thresholdField) this.thresholdField.hidden = !rule;
    });
    this.threshold = make("input", { type: "number", min: "0", step: "any", inputmode: "decimal" });
    this.thresholdField = fieldOf("Threshold", this.threshold);
    this.thresholdField.hidden = true;
    this.write = make("button", { type: "button", onclick: actions.write }, "Write");
    this.written = make("p", { class: "lv-written", dir: "auto" });
    const fields = [
      fieldOf("New tokens", this.count),
      fieldOf("Exit rule", this.rule),
      this.thresholdField,
      this.write,
    ];
    return make(
      "details",
      {},
      make("summary", {}, "Write on, token by token"),
      make("div", { class: "lv-row" }, ...fields),
      this.written,
    );
  }

  buildChange() {
    const kinds = [
      ["", "nothing"],
      ["skip", "skip it"],
      ["repeat", "run it twice"],
      ["noise", "add noise after it"],
    ];
    this.change = choice(kinds, () => this.showChange());
    this.changeAt = number(8, 0, MOST_ITERATIONS);
    this.strength = number(0.5, 0, 100, 0.1);
    this.strengthField = fieldOf("Strength (share of the state's length)", this.strength);
    this.changeField = fieldOf("Iteration to change", this.changeAt);
    this.showChange();
    return make(
      "details",
      {},
      make("summary", {}, "Change one iteration"),
      make(
        "div",
        { class: "lv-row" },
        fieldOf("What to do", this.change),
        this.changeField,
        this.strengthField,
      ),
    );
  }

  showChange() {
    if (this.changeField) this.changeField.hidden = !this.change?.value;
    if (this.strengthField) this.strengthField.hidden = this.change?.value !== "noise";
  }

  showSystem() {
    for (const field of [this.systemField, this.answerField]) {
      if (field) field.hidden = this.kind?.value !== "chat";
    }
  }

  /** Take the choices of an example or of a step of the tour. @param {Partial<Preset> & Record<string, any>} given */
  fill({
    prompt = "",
    system = null,
    answer = "",
    chat = false,
    second = "",
    change = null,
    iterations,
    seed,
  }) {
    this.prompt.value = prompt;
    this.system.value = system ?? "";
    this.answer.value = answer;
    this.second.value = second;
    this.kind.value = chat || system !== null ? "chat" : "plain";
    if (iterations) this.iterations.value = String(iterations);
    if (seed !== undefined) this.seed.value = String(seed);
    if (this.change && this.changeAt && this.strength) {
      this.change.value = change?.kind ?? "";
      if (change) this.changeAt.value = String(change.iteration);
      if (change?.size) this.strength.value = String(change.size);
    }
    this.showSystem();
    this.showChange();
  }

  /** The request of a run, under the names of `latentkit.trace`. @param {string} [prompt] */
  asked(prompt = this.prompt.value) {
    const chat = this.kind.value === "chat";
    const system = chat && this.system.value.trim() ? this.system.value : null;
    const choices = { iterations: this.iterations.valueAsNumber, seed: this.seed.valueAsNumber };
    if (!chat || !this.answer.value.trim()) return { prompt, system, chat, ...choices };
    const messages = [
      ...(system === null ? [] : [{ role: "system", content: system }]),
      { role: "user", content: prompt },
      { role: "assistant", content: this.answer.value },
    ];
    return { prompt: messages, system: null, chat: false, ...choices };
  }

  /** What is done to one iteration; null: nothing. */
  askedChange() {
    if (!this.change?.value) return null;
    const iteration = this.changeAt?.valueAsNumber ?? 0;
    const [first, last] = [this.change.value === "noise" ? 0 : 1, this.iterations.valueAsNumber];
    if (!(iteration >= first && iteration <= last)) {
      throw new Error(`The iteration to change must lie between ${first} and ${last}, got ${iteration}.`);
    }
    return { kind: this.change.value, iteration, size: this.strength?.valueAsNumber ?? 0.5, seed: 0 };
  }

  /** How to write on; null for the rule: all iterations. */
  askedWriting() {
    const rule = this.rules.find(({ name }) => name === this.rule?.value);
    const threshold = this.threshold?.valueAsNumber ?? 0;
    const count = this.count?.valueAsNumber ?? 0;
    if (!(count >= 1 && count <= 64))
      throw new Error(`New tokens must be a number from 1 to 64, got ${count}.`);
    if (rule && !(threshold > 0)) throw new Error(`The threshold must be above 0, got ${threshold}.`);
    return { count, exit: rule ? { ...rule, threshold } : null };
  }

  /** @param {boolean} isRunning */
  setRunning(isRunning) {
    this.run.disabled = isRunning;
    if (this.write) this.write.disabled = isRunning;
    this.stop.disabled = !isRunning;
  }

  /** @param {string} text @param {"" | "wrong"} [kind] */
  say(text, kind = "") {
    this.status.dataset.kind = kind;
    this.status.textContent = text;
  }
}
