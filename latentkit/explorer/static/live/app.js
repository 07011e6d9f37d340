// The live page: runs the model on what the form holds, and lets the explorer fill on the way.

import { download, make } from "../page/dom.js";
import { Explorer } from "../page/explorer.js";
import { formatNumber, formatPercent } from "../trace/format.js";
import { traceFile } from "./file.js";
import { Form } from "./form.js";
import { isRefused, requestOf, textOf } from "./prompt.js";
import { dataOf, labelsOf, Run } from "./run.js";

/**
 * @import { Data } from "../trace/data.js"
 * @import { State } from "../trace/view.js"
 * @import { Engine, Facts } from "./engine.js"
 * @import { Preset, Rule } from "./form.js"
 */

/**
 * @typedef {object} Settings Of the page, from Python.
 * @property {string} name
 * @property {Record<string, unknown>} attrs
 * @property {string} prompt
 * @property {Preset[]} presets
 * @property {Rule[]} rules
 * @property {string[]} refused Prompts that are traced, never answered.
 * @property {string} template Block of the explorer's data without a trace, in base64.
 * @property {boolean} guided Whether the tour is open at first.
 */

const PAUSE = 120; // milliseconds between two pictures of a run

export class LivePage {
  /** @param {Settings} settings @param {Data} template @param {Engine} engine @param {Facts} facts */
  constructor(settings, template, engine, facts) {
    this.settings = settings;
    this.template = template;
    this.engine = engine;
    this.facts = facts;
    this.labels = labelsOf(facts.texts);
    /** @type {Run[]} */
    this.runs = [];
    /** @type {any[]} */
    this.requests = [];
    /** @type {Explorer | null} */
    this.explorer = null;
    this.lastDrawn = 0;
    const actions = {
      run: () => this.guard(() => this.runForm()),
      stop: () => this.stop(),
      write: () => this.guard(() => this.write()),
    };
    this.form = new Form(settings.presets, settings.rules, facts.contextLength, actions);
    this.form.fill({ prompt: settings.prompt });
    this.place = make("div", { class: "lv-explorer" });
    this.save = make("button", { type: "button", onclick: () => this.saveTraces() }, "Save trace (JSON)");
    this.saving = make("div", { class: "lv-row", hidden: true }, this.save);
  }

  // Runs

  /** Do something that takes a while; what goes wrong is said in words. @param {() => Promise<void>} action */
  async guard(action) {
    if (this.isRunning) return;
    this.isRunning = true;
    this.isStopped = false;
    this.form.setRunning(true);
    try {
      await action();
    } catch (error) {
      this.form.say(error instanceof Error ? error.message : String(error), "wrong");
    } finally {
      this.isRunning = false;
      this.form.setRunning(false);
    }
  }

  stop() {
    this.isStopped = true;
    this.engine.stop();
  }

  /** Build and paint the explorer once, unseen, while the page opens: during a run it would be a long task. */
  async prepare() {
    const { place, settings, facts } = this;
    place.classList.add("lv-unseen");
    this.show([new Run(settings.name, [0, 0], facts.texts, 64)], "distance");
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  }

  /** Run what the form holds: one prompt, two, or one with and without a change. */
  async runForm() {
    const { form } = this;
    const change = form.askedChange();
    const first = form.asked();
    if (change) {
      const names = ["as it is", changeName(change)];
      await this.runAll([first, { ...first, change }], names);
      this.sayEffect(change);
      return;
    }
    const second = form.second.value;
    if (second.trim()) await this.runAll([first, form.asked(second)], ["first prompt", "second prompt"]);
    else await this.runAll([first], [this.settings.name]);
  }

  /** @param {any[]} requests @param {string[]} names @param {number} [generated] */
  async runAll(requests, names, generated = 0) {
    const began = performance.now();
    this.requests = requests;
    const checked = requests.map(requestOf);
    /** @type {Run[]} */
    const runs = [];
    this.saving.hidden = true;
    this.place.classList.remove("lv-unseen");
    this.form.say("Running: the picture shows the size of each step until the distances are known.");
    for (const [index, request] of checked.entries()) {
      if (this.isStopped) break;
      const asked = requests[index].ids ? { ...request, ids: requests[index].ids } : request;
      await this.runOne(asked, names[index], runs, generated, [index, checked.length]);
    }
    this.runs = runs;
    this.show(runs, "distance");
    this.saving.hidden = false;
    this.form.progress.value = 1;
    this.sayDone(runs, performance.now() - began);
  }

  /**
   * @param {any} request @param {string} name @param {Run[]} runs The run is added to these.
   * @param {number} generated @param {number[]} turn Which run of how many, for the progress.
   */
  async runOne(request, name, runs, generated, [index, count]) {
    /** @type {Run | null} */
    let run = null;
    const work = request.limit + request.iterations + 1;
    let done = 0;
    const result = await this.engine.call("trace", { ...request, report: true }, (part) => {
      if (part.kind === "tokens") {
        run = new Run(name, part.ids, this.facts.texts, request.iterations, generated);
        runs.push(run);
      }
      for (const column of part.columns ?? []) {
        run?.addColumn(column);
        done = column.id ? request.limit + column.iteration : column.iteration;
      }
      this.form.progress.value = (index + done / work) / count;
      this.showSometimes(runs, done > request.limit ? "distance" : "step_size");
    });
    runs[index] = /** @type {Run} */ (/** @type {unknown} */ (run)).finish(result);
  }

  /** Write on from the prompt, then trace the whole text. */
  async write() {
    const { form } = this;
    const asked = form.asked();
    if (isRefused(textOf(asked), this.settings.refused)) {
      throw new Error("This prompt is traced, never answered. Press Run to trace it.");
    }
    const { count, exit } = form.askedWriting();
    form.say("Writing.");
    const shown = form.written;
    shown?.replaceChildren();
    let written = 0;
    const request = { ...requestOf(asked), count, exit };
    const found = await this.engine.call("write", request, ({ token }) => {
      const what = `${token.iterations} iterations`;
      shown?.append(make("span", { class: "lv-token", title: what }, this.labels[token.id]));
      written += 1;
      form.progress.value = written / count;
    });
    const used = found.written.map((/** @type {{ iterations: number }} */ one) => one.iterations);
    const ids = [...found.ids, ...found.written.map((/** @type {{ id: number }} */ one) => one.id)];
    const mean =
      used.reduce((/** @type {number} */ sum, /** @type {number} */ one) => sum + one, 0) / used.length;
    if (!this.isStopped) await this.runAll([{ ...asked, ids }], [this.settings.name], used.length);
    const how = exit ? `with the exit rule ${exit.name}` : "without an exit rule";
    form.say(
      `Wrote ${used.length} tokens ${how}: ${formatNumber(mean)} iterations each on average. ${form.status.textContent}`,
    );
  }

  // Pictures

  /** @param {Run[]} runs @param {string} variable */
  showSometimes(runs, variable) {
    if (performance.now() - this.lastDrawn < PAUSE) return;
    this.show(runs, variable);
  }

  /** @param {Run[]} runs @param {string} variable */
  show(runs, variable) {
    const data = dataOf(this.template, runs, this.labels);
    const [panel] = data.panels;
    const last = panel.rows.length - 1;
    const before = this.explorer?.view.data.panels[0].rows.length;
    const fresh = { iteration: panel.columns.length - 1, token: last, token_range: [0, last] };
    if (!this.explorer) this.explorer = this.build(data, { ...fresh, variable });
    else {
      const { state } = this.explorer.view;
      const isSame = before === panel.rows.length && state.iteration < panel.columns.length;
      const kept = ["distance", "step_size"].includes(state.variable) ? { variable } : {};
      this.explorer.update({ ...(isSame ? {} : fresh), ...kept });
      this.explorer.load(data);
    }
    this.lastDrawn = performance.now();
  }

  /** @param {Data} data @param {Partial<State>} choices */
  build(data, choices) {
    const state = { colormap: data.map, scale: "", vmin: null, vmax: null, criterion: "", threshold: null };
    const all = /** @type {State} */ ({ ...state, theme: "auto", ...choices });
    return new Explorer(this.place, data, all, (changes) => {
      const { theme } = changes;
      if (theme === "auto") delete document.documentElement.dataset.theme;
      else if (theme) document.documentElement.dataset.theme = theme;
    });
  }

  // Words

  /** @param {Run[]} runs @param {number} time */
  sayDone(runs, time) {
    const [{ ids, limit, result, iterations }] = runs;
    const counted = `${ids.length} tokens, iterations 0 to ${iterations}, in ${formatNumber(time / 1000)} s`;
    const how = result.interrupted ? `Stopped: the limit is iteration ${limit}.` : "Done.";
    this.form.say(`${how} ${counted}.`);
  }

  /** What a change of one iteration made of the end. @param {{ kind: string, iteration: number }} change */
  sayEffect(change) {
    const effect = this.runs[1]?.result.effect;
    if (!effect) return;
    const { distance, kl, same } = effect;
    const kept = same.filter(Boolean).length;
    const most = Math.max(...distance);
    this.form.say(
      `${changeName(change)}: at the end the states differ by at most ${formatNumber(most)}, the readouts by at ` +
        `most ${formatNumber(Math.max(...kl))} nats (KL); the likeliest next token is the same for ` +
        `${kept} of ${same.length} tokens (${formatPercent(kept / same.length)}).`,
    );
  }

  // Files

  saveTraces() {
    this.runs.forEach((run, index) => {
      const text = traceFile(run, this.settings.attrs, this.requests[index]);
      download(
        new Blob([text], { type: "application/json" }),
        index ? `trace-${index + 1}.json` : "trace.json",
      );
    });
  }
}

/** @param {{ kind: string, iteration: number }} change */
function changeName({ kind, iteration }) {
  const what = { skip: "skipped", repeat: "run twice" }[kind];
  return what ? `iteration ${iteration} ${what}` : `noise after iteration ${iteration}`;
}
