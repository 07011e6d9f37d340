// An explorer of one trace, or of two side by side: the page round the pictures, and what happens in it.
//
// Everything that the user can choose stands in `state`, under the names of the widget's traits. Whatever
// changes it, a key, a pointer or Python, ends in one call of `draw` before the next frame. Texts of tokens
// only ever become text nodes or pixels.

import {
  digits, exitColumn, limitsOf, median, percent, scaleOf, settledColumn, unpack, unscale,
} from "./numbers.js";
import {
  drawBar, drawCells, drawCurve, drawCursor, drawStops, font, layOut, paintCells, prepare,
} from "./picture.js";

const STATE = [
  "iteration", "token", "token_range", "variable", "colormap", "scale", "limits", "criterion", "threshold",
  "theme",
];
const SHARE = 0.01; // of a row's first value: the threshold unless somebody chooses one
const NEAR = 20; // tokens of the text that are shown before and after the chosen one
const FINE = 400; // steps of the threshold's slider
const TALL = 680; // pixels of a picture whose rows would take more

/** Make an element; children are elements or texts, and a text stays a text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** Place of the value that is nearest. */
function nearestPlace(values, wanted) {
  let best = 0;
  values.forEach((value, place) => {
    if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = place;
  });
  return best;
}

/** Numbers for a slider over positions: the positions themselves where they follow each other. */
function axisOf(values) {
  const even = values.every((value, place) => value === values[0] + place);
  const offset = even ? values[0] : 0;
  return { min: offset, max: offset + values.length - 1, offset };
}

export class Explorer {
  constructor(root, data, state, tell = () => {}) {
    Object.assign(this, { root, tell, state: { ...state }, hover: null, table: false, drawn: {} });
    root.classList.add("latentkit-explorer");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab keeps its keys to itself in here;
    root.addEventListener("keydown", (event) => { // newer versions do where they never hear of them
      if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Explorer of a trace");
    this.load(data);
    this.watchSurroundings();
  }

  close() {
    this.observers.forEach((observer) => observer.disconnect());
    this.dark.removeEventListener("change", this.onTheme);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.saying);
    this.root.replaceChildren();
  }

  // Changing -----------------------------------------------------------------------------------------------

  /** Take data; the page is built anew only where it would have other parts. */
  load(data) {
    this.data = data;
    const parts = [data.kind, data.variables.map(({ name }) => name), data.rules, data.panels.length];
    const form = JSON.stringify(parts);
    if (form !== this.form) this.build();
    this.form = form;
    this.version = (this.version ?? 0) + 1;
    this.setRanges();
    this.draw();
  }

  /** A change that the user made: it is told to whoever listens. */
  set(changes) {
    Object.assign(this.state, changes);
    this.tell(changes);
    this.draw();
  }

  /** A change from outside. */
  update(changes) {
    Object.assign(this.state, changes);
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paint();
    });
  }

  watchSurroundings() {
    this.onTheme = () => this.draw();
    this.dark = window.matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.onTheme);
    const themes = new MutationObserver(this.onTheme);
    for (const element of [document.documentElement, document.body]) {
      themes.observe(element, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-theme"] });
    }
    const sizes = new ResizeObserver(this.onTheme);
    sizes.observe(this.root);
    this.observers = [themes, sizes];
  }

  // What follows from the state ----------------------------------------------------------------------------

  get variable() {
    return this.data.variables.find(({ name }) => name === this.state.variable) ?? this.data.variables[0];
  }

  get log() {
    return this.state.scale ? this.state.scale === "log" : this.variable.log;
  }

  get colours() {
    return this.data.maps[this.state.colormap] ?? this.data.maps[this.data.map];
  }

  get rule() {
    return this.data.rules.find(({ name }) => name === this.state.criterion) ?? null;
  }

  columnOf(panel, iteration = this.state.iteration) {
    return nearestPlace(panel.columns, iteration ?? panel.columns.at(-1));
  }

  rowOf(panel, token = this.state.token) {
    const row = panel.rows.indexOf(token);
    return row >= 0 ? row : nearestPlace(panel.rows, token ?? panel.rows.at(-1));
  }

  /** Rows between the ends of the range. Layers may stand in any order and are all shown. */
  rowsShown(panel) {
    const [first, last] = this.state.token_range ?? [];
    const all = panel.rows.map((_, row) => row);
    if (first === undefined || !this.data.guess) return all;
    const shown = all.filter((row) => panel.rows[row] >= first && panel.rows[row] <= last);
    return shown.length ? shown : all;
  }

  rowValues(panel, table, row) {
    const columns = panel.columns.length;
    return table.subarray(row * columns, (row + 1) * columns);
  }

  /** What is held against the threshold: an exit rule's numbers, or the variable that is shown. */
  held(panel, row) {
    const table = this.rule ? panel.exits[this.rule.name] : panel.variables[this.variable.name];
    return this.rowValues(panel, table, row);
  }

  thresholdOf(panel, row) {
    if (this.state.threshold !== null && this.state.threshold !== undefined) return this.state.threshold;
    if (this.rule) return this.rule.threshold;
    return SHARE * (this.held(panel, row).find((value) => !Number.isNaN(value)) ?? NaN);
  }

  stopOf(panel, row) {
    const [values, threshold] = [this.held(panel, row), this.thresholdOf(panel, row)];
    return this.rule ? exitColumn(values, this.rule, threshold) : settledColumn(values, threshold, panel.limit);
  }

  limits() {
    if (this.state.limits) return this.state.limits;
    const parts = this.data.panels.flatMap((panel) => {
      const table = panel.variables[this.variable.name];
      return this.rowsShown(panel).map((row) => this.rowValues(panel, table, row));
    });
    return limitsOf(parts, this.log);
  }

  /** Ends of the threshold's slider: all that the rule's numbers reach, whichever rows are shown. */
  thresholdLimits() {
    const [panel] = this.data.panels;
    if (this.rule?.counts) return [1, panel.columns.length - 1];
    const table = this.rule ? panel.exits[this.rule.name] : panel.variables[this.variable.name];
    const [low, high] = limitsOf([table], this.thresholdLog);
    return this.thresholdLog ? [low / 2, high * 2] : [low, high];
  }

  get thresholdLog() {
    return this.rule ? !this.rule.counts : this.log;
  }

  readout(panel, row, column) {
    const { readout, columns } = panel;
    if (!readout) return [];
    const cells = panel.rows.length * columns.length;
    const at = row * columns.length + column;
    const places = Array.from({ length: readout.ranks }, (_, rank) => rank * cells + at);
    return places
      .filter((place) => readout.place[place] !== readout.missing)
      .map((place) => ({ text: readout.texts[readout.place[place]], chance: readout.probability[place] }));
  }

  // Words --------------------------------------------------------------------------------------------------

  nameRow(panel, row) {
    return `${this.data.row} ${this.numberAndText(panel, row)}`;
  }

  /** A token stands in quotation marks, the name of a layer in brackets. */
  numberAndText(panel, row) {
    const text = panel.labels[row];
    return `${panel.beside[row]} ${this.data.guess ? `“${text}”` : `(${text})`}`;
  }

  nameColumn(panel, column) {
    return panel.columnLabels?.[column] ?? `${this.data.column.toLowerCase()} ${panel.columns[column]}`;
  }

  valueText({ name, units }, panel, row, column) {
    const value = this.rowValues(panel, panel.variables[name], row)[column];
    return digits(value) + (units && !Number.isNaN(value) ? ` ${units}` : "");
  }

  sayCell(panel, row, column) {
    const values = this.data.variables.map((one) => `${one.label} ${this.valueText(one, panel, row, column)}`);
    const [best] = this.readout(panel, row, column);
    const guess = best ? ` Likeliest ${this.guessed}: “${best.text}”, ${percent(best.chance)}.` : "";
    const whose = panel.name && this.data.panels.length > 1 ? `${panel.name}: ` : "";
    return `${whose}${this.nameRow(panel, row)}, ${this.nameColumn(panel, column)}. ${values.join(", ")}.${guess}`;
  }

  get guessed() {
    return this.data.guess === "next" ? "next token" : "token";
  }

  /** Where the chosen row stops, what is saved, and how it is with all rows that are shown. */
  sayStop(panel) {
    const row = this.rowOf(panel);
    const last = panel.columns.length - 1;
    const said = this.rule ? `${this.rule.name} would stop` : "settles";
    const saved = (column) => percent(1 - (panel.columns[column] - panel.columns[0]) / (panel.columns[last] - panel.columns[0]));
    const stop = this.stopOf(panel, row);
    const one = stop === null
      ? `${this.nameRow(panel, row)} ${this.rule ? "is never stopped" : "does not settle"} by ${this.nameColumn(panel, last)}.`
      : `${this.nameRow(panel, row)} ${this.rule ? "is stopped" : "settles"} at ${this.nameColumn(panel, stop)}, ` +
        `which would save ${saved(stop)} of the iterations.`;
    const rows = this.rowsShown(panel);
    const stops = rows.map((each) => this.stopOf(panel, each));
    const known = stops.filter((column) => column !== null);
    if (rows.length < 2) return one;
    const verb = this.rule ? "are stopped" : "settle";
    if (!known.length) return `${one} Of the ${rows.length} tokens shown none ${said.split(" ").pop()}s.`;
    const middle = median(known.map((column) => panel.columns[column]));
    const all = stops.map((column) => panel.columns[column ?? last]);
    const spared = all.map((at) => 1 - (at - panel.columns[0]) / (panel.columns[last] - panel.columns[0]));
    const mean = spared.reduce((sum, share) => sum + share, 0) / spared.length;
    return `${one} Of the ${rows.length} tokens shown ${known.length} ${verb}, the median one at iteration ` +
      `${middle}; together they would save ${percent(mean)} of the iterations.${this.sayKept(panel, rows, stops)}`;
  }

  /** Whether the likeliest token at the stops is the one at the end. */
  sayKept(panel, rows, stops) {
    if (!panel.readout || panel.columns.length < 2) return "";
    const last = panel.columns.length - 1;
    const place = (row, column) => panel.readout.place[row * panel.columns.length + column];
    const same = rows.filter((row, i) => place(row, stops[i] ?? last) === place(row, last)).length;
    return ` The likeliest ${this.guessed} is then what it is at the end for ${same} of ${rows.length}.`;
  }

  // Building the page --------------------------------------------------------------------------------------

  build() {
    const { data } = this;
    this.controls = {};
    this.panels = data.panels.map((_, index) => this.buildPanel(index));
    this.live = make("p", { class: "lk-hidden", "aria-live": "polite" });
    this.tableHolder = make("div", { class: "lk-table", tabindex: "0", role: "region", "aria-label": "Numbers at the chosen iteration", hidden: true });
    this.root.replaceChildren(
      this.buildSliders(),
      this.buildChoices(),
      make("div", { class: "lk-main" },
        make("div", { class: "lk-pictures" }, ...this.panels.map(({ column }) => column)),
        make("div", { class: "lk-details" }, ...this.panels.map(({ details }) => details)),
      ),
      ...(data.guess ? [this.buildStops()] : []),
      this.buildButtons(),
      this.tableHolder,
      this.live,
    );
  }

  buildSliders() {
    const { data } = this;
    const on = (name, change) => this.slider(name, name, (input) => change(Number(input.value)));
    const rows = () => data.panels[0].rows;
    const rowAt = (value) => rows()[value - axisOf(rows()).offset];
    const columnAt = (value) => data.panels[0].columns[value - axisOf(data.panels[0].columns).offset];
    const sliders = make("div", { class: "lk-sliders" },
      ...on(data.column, (value) => this.choose({ iteration: columnAt(value) })),
      ...on(data.row, (value) => this.choose({ token: rowAt(value) })),
    );
    if (data.guess) sliders.append(...this.buildRange(rowAt));
    return sliders;
  }

  /** A label, a native slider and the number beside it, which the slider says itself. */
  slider(name, label, change) {
    const input = make("input", { type: "range", step: "1", oninput: () => change(input) });
    const shown = make("span", { class: "lk-value", "aria-hidden": "true" });
    this.controls[name] = { input, shown };
    return [make("label", {}, make("span", {}, label), input), shown];
  }

  /** Two native sliders, one over the other, for the first and the last row shown. */
  buildRange(rowAt) {
    const change = () => {
      const [first, last] = ["first", "last"].map((end) => rowAt(Number(this.controls[end].input.value)));
      const end = document.activeElement === this.controls.first.input ? [first, Math.max(first, last)] : [Math.min(first, last), last];
      const token = clamp(this.state.token ?? end[1], ...end);
      this.choose({ token_range: end, ...(token === this.state.token ? {} : { token }) });
    };
    const inputs = ["first", "last"].map((end) => {
      const input = make("input", { type: "range", step: "1", "aria-label": `${end === "first" ? "First" : "Last"} token shown`, oninput: change });
      this.controls[end] = { input };
      return input;
    });
    const shown = make("span", { class: "lk-value", "aria-hidden": "true" });
    this.controls.range = { shown };
    return [
      make("div", { class: "lk-range" }, make("span", { "aria-hidden": "true" }, "Tokens shown"), make("span", { class: "lk-double" }, ...inputs)),
      shown,
    ];
  }

  select(name, label, options, change) {
    const input = make("select", { onchange: () => change(input.value) },
      ...options.map(([value, text]) => make("option", { value }, text)));
    this.controls[name] = { input };
    return make("label", {}, make("span", {}, label), input);
  }

  buildChoices() {
    const { data } = this;
    const choices = make("div", { class: "lk-choices" },
      this.select("variable", "Colour shows", data.variables.map(({ name, label }) => [name, label]),
        (variable) => this.set({ variable, scale: "", limits: null, ...(this.rule ? {} : { threshold: null }) })),
      this.select("colormap", "Colours", Object.keys(data.maps).map((name) => [name, name]),
        (colormap) => this.set({ colormap })),
      this.select("scale", "Scale", [["log", "logarithmic"], ["linear", "linear"]],
        (scale) => this.set({ scale, limits: null })),
      this.select("limits", "Limits", [["auto", "automatic"], ["fixed", "fixed"]],
        (kind) => this.set({ limits: kind === "auto" ? null : this.limits() })),
    );
    for (const [name, label] of [["low", "Lowest"], ["high", "Highest"]]) {
      const input = make("input", { type: "number", step: "any", onchange: () => this.takeLimits() });
      const holder = make("label", { hidden: true }, make("span", {}, label), input);
      this.controls[name] = { input, holder };
      choices.append(holder);
    }
    choices.append(this.select("theme", "Theme", [["auto", "as around"], ["light", "light"], ["dark", "dark"]],
      (theme) => this.set({ theme })));
    return choices;
  }

  takeLimits() {
    const [low, high] = ["low", "high"].map((name) => this.controls[name].input.valueAsNumber);
    const fine = low < high && (!this.log || low > 0);
    const message = fine ? "" : `The lowest must be below the highest${this.log ? ", and above 0 on a logarithmic scale" : ""}.`;
    this.controls.low.input.setCustomValidity(message);
    if (fine) this.set({ limits: [low, high] });
    else this.controls.low.input.reportValidity();
  }

  buildStops() {
    const rules = [["", "settled: stays below a threshold"], ...this.data.rules.map(({ name }) => [name, `exit rule ${name}`])];
    const [label, shown] = this.slider("threshold", "Threshold", (input) => this.takeThreshold(Number(input.value)));
    this.stopText = make("p", { class: "lk-stop" });
    const reset = make("button", { type: "button", onclick: () => this.set({ threshold: null }) }, "Usual threshold");
    this.controls.reset = { input: reset };
    return make("div", { class: "lk-stops" },
      make("div", { class: "lk-choices" },
        this.select("criterion", "Stop when", rules, (criterion) => this.set({ criterion, threshold: null })),
        label, shown, reset),
      this.stopText,
      make("p", { class: "lk-note" }, "▸ in the picture and the red line below it mark where a token would stop."));
  }

  takeThreshold(step) {
    const limits = this.thresholdLimits();
    const value = this.rule?.counts ? step : unscale(limits, this.thresholdLog, step / FINE);
    this.set({ threshold: this.rule?.counts ? value : Number(value.toPrecision(4)) });
    this.saySoon(() => this.sayStop(this.data.panels[0]));
  }

  buildButtons() {
    const button = (text, act) => make("button", { type: "button", onclick: act }, text);
    const table = button("Show as table", () => {
      this.table = !this.table;
      table.setAttribute("aria-expanded", String(this.table));
      table.textContent = this.table ? "Hide table" : "Show as table";
      this.tableHolder.hidden = !this.table;
      this.draw();
    });
    table.setAttribute("aria-expanded", "false");
    return make("div", { class: "lk-buttons" }, table,
      button("Save picture (PNG)", () => this.savePicture()),
      button("Save numbers (CSV)", () => save(new Blob([this.csv()], { type: "text/csv" }), "trace.csv")),
    );
  }

  buildPanel(index) {
    const cells = make("canvas", {
      class: "lk-cells", tabindex: "0", role: "application", "aria-roledescription": "heatmap",
      onkeydown: (event) => this.onKey(event),
      onpointermove: (event) => this.onPointer(event, index, false),
      onpointerdown: (event) => this.onPointer(event, index, true),
      onpointerleave: () => { this.hover = null; this.draw(); },
    });
    const curve = make("canvas", {
      class: "lk-curve", role: "img",
      onpointerdown: (event) => this.onThreshold(event, index, true),
      onpointermove: (event) => this.onThreshold(event, index, false),
    });
    const parts = {
      where: make("p", { class: "lk-where" }),
      values: make("dl", {}),
      caption: make("caption", {}),
      guesses: make("tbody", {}),
      text: make("p", { class: "lk-text" }),
    };
    const guesses = make("table", { class: "lk-guesses" }, parts.caption,
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, this.guessed), make("th", { scope: "col" }, "probability"))),
      parts.guesses);
    const readouts = this.data.panels[index].readout ? [guesses, parts.text] : [];
    return {
      cells, plot: curve, ...parts,
      image: document.createElement("canvas"), // one pixel for each cell
      still: document.createElement("canvas"), // all that a moving cursor leaves as it is
      column: make("div", { class: "lk-panel" }, cells, ...(this.data.guess ? [curve] : [])),
      details: make("div", {}, parts.where, parts.values, ...readouts),
    };
  }

  /** Ends of the sliders, as far as the data reach. */
  setRanges() {
    const { data, controls } = this;
    const [panel] = data.panels;
    const ends = (name, values) => {
      const { min, max } = axisOf(values);
      Object.assign(controls[name].input, { min, max });
    };
    ends(data.column, panel.columns);
    for (const name of [data.row, ...(data.guess ? ["first", "last"] : [])]) ends(name, panel.rows);
  }

  // Painting -----------------------------------------------------------------------------------------------

  paint() {
    if (!this.root.isConnected || !this.root.clientWidth) return;
    this.applyTheme();
    this.showControls();
    const limits = this.limitsNow();
    this.data.panels.forEach((panel, index) => {
      this.paintPanel(panel, this.panels[index], limits, index === this.data.panels.length - 1);
      this.showDetails(panel, this.panels[index]);
    });
    if (this.stopText) {
      const said = this.data.panels.map((panel) => (this.data.panels.length > 1 ? `${panel.name}: ` : "") + this.sayStop(panel)).join("\n");
      if (this.stopText.textContent !== said) this.stopText.textContent = said;
    }
    if (this.table) this.showTable();
  }

  /** The automatic limits are looked for again only where they may be others. */
  limitsNow() {
    const key = JSON.stringify([this.version, this.variable.name, this.log, this.state.token_range, this.state.limits]);
    if (this.drawn.limits !== key) Object.assign(this.drawn, { limits: key, found: this.limits() });
    return this.drawn.found;
  }

  applyTheme() {
    const { body, documentElement: page } = document;
    const around = body.dataset.jpThemeLight
      ? body.dataset.jpThemeLight === "false"
      : body.classList.contains("vscode-dark") || page.dataset.theme === "dark" || this.dark?.matches;
    const theme = this.state.theme && this.state.theme !== "auto" ? this.state.theme : around ? "dark" : "light";
    if (this.root.dataset.theme === theme && this.theme) return;
    this.root.dataset.theme = theme;
    const style = getComputedStyle(this.root);
    const names = ["text", "soft", "grid", "blank", "chip", "chipText", "line", "threshold", "band", "back"];
    this.theme = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--lk-${name}`).trim()]));
  }

  showControls() {
    const { data, controls, state } = this;
    const [panel] = data.panels;
    const [row, column] = [this.rowOf(panel), this.columnOf(panel)];
    const put = (name, value, text, said) => {
      const { input, shown } = controls[name];
      if (input.value !== String(value)) input.value = value;
      if (shown) shown.textContent = text;
      input.setAttribute("aria-valuetext", said ?? text);
    };
    put(data.column, column + axisOf(panel.columns).offset, panel.columnLabels?.[column] ?? String(panel.columns[column]));
    put(data.row, row + axisOf(panel.rows).offset, this.numberAndText(panel, row));
    if (data.guess) {
      const rows = this.rowsShown(panel);
      const offset = axisOf(panel.rows).offset;
      for (const [name, at] of [["first", rows[0]], ["last", rows.at(-1)]]) put(name, at + offset, "", this.numberAndText(panel, at));
      controls.range.shown.textContent = `${panel.beside[rows[0]]}–${panel.beside[rows.at(-1)]}`;
      this.showThreshold(panel, row);
    }
    controls.variable.input.value = this.variable.name;
    controls.colormap.input.value = data.maps[state.colormap] ? state.colormap : data.map;
    controls.scale.input.value = this.log ? "log" : "linear";
    controls.limits.input.value = state.limits ? "fixed" : "auto";
    controls.theme.input.value = state.theme || "auto";
    ["low", "high"].forEach((name, end) => {
      controls[name].holder.hidden = !state.limits;
      if (state.limits && document.activeElement !== controls[name].input) controls[name].input.value = Number(state.limits[end].toPrecision(6));
    });
  }

  showThreshold(panel, row) {
    const { input, shown } = this.controls.threshold;
    const value = this.thresholdOf(panel, row);
    const limits = this.thresholdLimits();
    const usual = this.state.threshold === null || this.state.threshold === undefined;
    const counts = this.rule?.counts;
    Object.assign(input, counts ? { min: 1, max: limits[1] } : { min: 0, max: FINE });
    const step = counts ? value : Math.round(FINE * scaleOf(limits, this.thresholdLog)(value));
    input.value = Number.isFinite(step) ? step : 0;
    const units = this.rule ? "" : ` ${this.variable.units}`.trimEnd();
    const text = usual && !this.rule ? `${digits(value)}${units} (1 % of the first)` : `${digits(value)}${units}`;
    shown.textContent = text;
    input.setAttribute("aria-valuetext", text);
    this.controls.criterion.input.value = this.rule?.name ?? "";
    this.controls.reset.input.disabled = usual;
  }

  paintPanel(panel, view, limits, withBar) {
    const { data, state, theme } = this;
    const rows = this.rowsShown(panel);
    const ratio = window.devicePixelRatio || 1;
    const bar = withBar ? 70 : 0;
    const gap = 16 * (this.panels.length - 1);
    const width = Math.floor((view.column.parentElement.clientWidth - gap - 70) / this.panels.length) + bar;
    const settings = [this.version, this.variable.name, state.colormap, this.log, limits, rows[0], rows.at(-1), state.criterion,
      state.threshold, state.theme, theme.text, width, ratio];
    const key = JSON.stringify(settings);
    if (view.key !== key) {
      view.key = key;
      view.rows = rows;
      this.paintStill(panel, view, { rows, limits, width, ratio, bar });
    }
    const { box } = view;
    const context = prepareIfNeeded(view.cells, box, ratio);
    context.clearRect(0, 0, box.canvasWidth, box.canvasHeight);
    context.drawImage(view.still, 0, 0, box.canvasWidth, box.canvasHeight);
    const [row, column] = [this.rowOf(panel), this.columnOf(panel)];
    const place = rows.indexOf(row);
    if (place >= 0) drawCursor(context, box, column, place, view.words, theme);
    if (data.guess) this.paintCurve(panel, view, row, column, ratio);
    view.cells.setAttribute("aria-label", `${view.words.title}: ${rows.length} ${data.rowPlural.toLowerCase()} from top to bottom. ` +
      `Arrow keys move the cursor; now at ${this.nameRow(panel, row)}, ${this.nameColumn(panel, column)}.`);
  }

  /** All that stays while the cursor moves: cells, labels, colour bar, marks of the stops. */
  paintStill(panel, view, { rows, limits, width, ratio, bar }) {
    const { data, theme, variable } = this;
    const names = rows.map((row) => ({ label: panel.labels[row], beside: panel.beside[row], position: panel.beside[row] }));
    const rowHeight = Math.min(22, TALL / rows.length);
    const context = view.still.getContext("2d");
    context.font = font(12, "700"); // as wide as under the cursor
    const widest = Math.max(...names.map(({ label }) => context.measureText(label).width));
    const left = clamp(widest + 16, 56, Math.min(170, width / 3));
    const what = variable.meaning.startsWith("‖") ? `${variable.label} ${variable.meaning}` : variable.meaning || variable.label;
    const title = data.panels.length > 1 ? `${panel.name}: ${what}` : what;
    view.words = { title, rows: names, columns: panel.columns, columnLabels: panel.columnLabels, axis: data.axis };
    view.box = layOut({ width, rows: rows.length, columns: panel.columns.length, left, right: 42, bar, rowHeight });
    const still = prepare(view.still, view.box.canvasWidth, view.box.canvasHeight, ratio);
    const colours = this.colours;
    paintCells(view.image, panel.variables[variable.name], panel.columns.length, rows, colours, scaleOf(limits, this.log));
    drawCells(still, view.box, view.image, view.words, theme);
    if (data.guess) drawStops(still, view.box, rows.map((row) => this.stopOf(panel, row)));
    const label = variable.label + (variable.units ? ` (${variable.units})` : "");
    if (bar) drawBar(still, view.box, { colours, limits, log: this.log, label }, theme);
  }

  paintCurve(panel, view, row, column, ratio) {
    const values = this.held(panel, row);
    const threshold = this.thresholdOf(panel, row);
    const log = this.thresholdLog;
    const [low, high] = limitsOf([values, [threshold]], log);
    const limits = log ? [low / 1.3, high * 1.3] : [low - 0.05 * (high - low), high + 0.05 * (high - low)];
    view.curveBox = { ...layOut({ width: view.box.canvasWidth, rows: 1, columns: panel.columns.length, left: view.box.left,
      right: 42, bar: view.box.canvasWidth - view.box.right - 42, rowHeight: 110 }), canvasHeight: 142 };
    view.curve = { limits, log };
    const context = prepareIfNeeded(view.plot, view.curveBox, ratio);
    const what = this.rule ? `what ${this.rule.name} looks at` : this.variable.label;
    const label = `${this.nameRow(panel, row)}: ${what}${log ? ", log scale" : ""}`;
    const stop = this.stopOf(panel, row);
    drawCurve(context, view.curveBox, { values, limits, log, threshold, stop, column, label }, this.theme);
    view.plot.setAttribute("aria-label", `${label}. ${stop === null ? "No stop." : `Stop at ${this.nameColumn(panel, stop)}.`}`);
  }

  showDetails(panel, view) {
    const row = this.rowOf(panel, this.hover?.token ?? this.state.token);
    const column = this.columnOf(panel, this.hover?.iteration ?? this.state.iteration);
    const whose = this.data.panels.length > 1 ? `${panel.name}: ` : "";
    view.where.textContent = `${whose}${this.nameRow(panel, row)}, ${this.nameColumn(panel, column)}`;
    fill(view.values, this.data.variables.length, () => make("div", {}, make("dt"), make("dd")), (line, i) => {
      const variable = this.data.variables[i];
      line.children[0].textContent = variable.label;
      line.children[1].textContent = this.valueText(variable, panel, row, column);
    });
    if (!panel.readout) return;
    const guesses = this.readout(panel, row, column);
    const begin = `If stopped at ${this.nameColumn(panel, column)}, the ${this.guessed}`;
    view.caption.textContent = guesses.length ? `${begin} would be “${guesses[0].text}”.` : `${begin} is not known: it was stopped earlier.`;
    fill(view.guesses, guesses.length, makeGuess, (line, i) => {
      line.children[0].textContent = `“${guesses[i].text}”`;
      line.children[1].firstChild.textContent = percent(guesses[i].chance);
      line.children[1].lastChild.style.width = `${(100 * guesses[i].chance).toFixed(1)}%`;
    });
    this.showText(panel, view, row, column);
  }

  /** What would be said after each token near the chosen one; marked where the text goes on in another way. */
  showText(panel, view, row, column) {
    const rows = this.rowsShown(panel).filter((each) => Math.abs(each - row) <= NEAR);
    const ahead = this.data.guess === "next" ? 1 : 0;
    const title = ahead ? `Likeliest next tokens if stopped at ${this.nameColumn(panel, column)} (underlined: the text goes on differently): `
      : `Text if stopped at ${this.nameColumn(panel, column)} (underlined: another token was taken): `;
    fill(view.text, rows.length + 1, () => make("span"), (span, i) => {
      if (i === 0) return void (span.textContent = title);
      const at = rows[i - 1];
      const place = panel.readout.place[at * panel.columns.length + column];
      const text = place === panel.readout.missing ? "…" : panel.readout.texts[place];
      const other = at + ahead < panel.labels.length && panel.labels[at + ahead] !== text;
      if (span.textContent !== text) span.textContent = text;
      span.className = `lk-token${other ? " lk-other" : ""}${at === row ? " lk-here" : ""}`;
    });
  }

  showTable() {
    const [panel] = this.data.panels;
    const column = this.columnOf(panel);
    const rows = this.rowsShown(panel);
    const names = [this.data.row, "Text", ...this.data.variables.map(({ label, units }) => label + (units ? ` (${units})` : "")),
      ...(panel.readout ? [`Likeliest ${this.guessed}`, "Probability"] : []), ...(this.data.guess ? ["Stop at iteration"] : [])];
    const cellsOf = (row) => {
      const [best] = this.readout(panel, row, column);
      const stop = this.data.guess ? this.stopOf(panel, row) : null;
      return [String(panel.beside[row]), `“${panel.labels[row]}”`,
        ...this.data.variables.map(({ name }) => digits(this.rowValues(panel, panel.variables[name], row)[column])),
        ...(panel.readout ? [best ? `“${best.text}”` : "not known", best ? percent(best.chance) : "not known"] : []),
        ...(this.data.guess ? [stop === null ? "none" : String(panel.columns[stop])] : [])];
    };
    const said = `${this.data.panels.length > 1 ? `${panel.name}, ` : ""}${this.nameColumn(panel, column)}`;
    this.tableHolder.replaceChildren(make("table", {}, make("caption", {}, `All ${this.data.rowPlural.toLowerCase()} shown, at ${said}`),
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows.map((row) => {
        const [first, ...others] = cellsOf(row);
        return make("tr", {}, make("th", { scope: "row" }, first), ...others.map((text) => make("td", {}, text)));
      }))));
  }

  // Keys and pointers --------------------------------------------------------------------------------------

  /** Choose a cell or rows, and say it once the user has come to rest. */
  choose(changes) {
    this.hover = null;
    this.set(changes);
    this.saySoon(() => this.data.panels.map((panel) => this.sayCell(panel, this.rowOf(panel), this.columnOf(panel))).join(" "));
  }

  saySoon(words) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { this.live.textContent = words(); }, 200);
  }

  onKey(event) {
    const [panel] = this.data.panels;
    const rows = this.rowsShown(panel);
    const place = Math.max(0, rows.indexOf(this.rowOf(panel)));
    const column = this.columnOf(panel);
    const last = panel.columns.length - 1;
    const go = {
      ArrowLeft: [place, column - 1], ArrowRight: [place, column + 1], ArrowUp: [place - 1, column],
      ArrowDown: [place + 1, column], Home: [place, 0], End: [place, last], PageUp: [place - 10, column],
      PageDown: [place + 10, column],
    }[event.key];
    if (!go || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.choose({
      token: panel.rows[rows[clamp(go[0], 0, rows.length - 1)]],
      iteration: panel.columns[clamp(go[1], 0, last)],
    });
  }

  onPointer(event, index, chosen) {
    const { box, rows } = this.panels[index];
    const panel = this.data.panels[index];
    const column = Math.floor((event.offsetX - box.left) / box.columnWidth);
    const place = Math.floor((event.offsetY - box.top) / box.rowHeight);
    const inside = column >= 0 && column < panel.columns.length && place >= 0 && place < rows.length;
    const cell = inside ? { token: panel.rows[rows[place]], iteration: panel.columns[column] } : null;
    const dragged = event.buttons & 1;
    if (cell && (chosen || dragged)) return this.choose(cell);
    this.hover = cell;
    this.draw();
  }

  onThreshold(event, index, begun) {
    const view = this.panels[index];
    if (!view.curve || !this.data.guess) return;
    const canvas = view.plot;
    if (begun) canvas.setPointerCapture(event.pointerId);
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const { top, bottom, height } = view.curveBox;
    view.held = begun ? view.curve : view.held; // the scale rests while a hand moves the line
    const value = unscale(view.held.limits, view.held.log, (bottom - clamp(event.offsetY, top, bottom)) / height);
    this.set({ threshold: this.rule?.counts ? Math.max(1, Math.round(value)) : Number(value.toPrecision(4)) });
  }

  // Taking it away -----------------------------------------------------------------------------------------

  /** The view as one picture: what the screen shows of every panel, on the theme's ground. */
  savePicture() {
    const ratio = window.devicePixelRatio || 1;
    const parts = this.panels.map((view) => [view.cells, ...(this.data.guess ? [view.plot] : [])]);
    const canvas = document.createElement("canvas");
    canvas.width = parts.reduce((sum, [cells]) => sum + cells.width, 0);
    canvas.height = Math.max(...parts.map((part) => part.reduce((sum, { height }) => sum + height, 0))) + 8 * ratio;
    const context = canvas.getContext("2d");
    context.fillStyle = this.theme.back;
    context.fillRect(0, 0, canvas.width, canvas.height);
    let x = 0;
    for (const part of parts) {
      let y = 8 * ratio;
      for (const piece of part) {
        context.drawImage(piece, x, y);
        y += piece.height;
      }
      x += part[0].width;
    }
    canvas.toBlob((blob) => save(blob, "trace.png"));
  }

  /** The numbers that are in the picture, one line for each cell. Texts stand in “quotation marks”, so that no
   *  spreadsheet takes one for a formula. */
  csv() {
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const several = this.data.panels.length > 1;
    const names = [...(several ? ["trace"] : []), this.data.row.toLowerCase(), "text", this.data.column.toLowerCase().replace(" ", "_"), this.variable.name];
    const lines = [names.join(",")];
    for (const panel of this.data.panels) {
      for (const row of this.rowsShown(panel)) {
        const values = this.rowValues(panel, panel.variables[this.variable.name], row);
        values.forEach((value, column) => lines.push([
          ...(several ? [quoted(`“${panel.name}”`)] : []), panel.beside[row], quoted(`“${panel.labels[row]}”`), panel.columns[column],
          Number.isNaN(value) ? "" : value,
        ].join(",")));
      }
    }
    return `${lines.join("\r\n")}\r\n`;
  }
}

/** Give a canvas its size where that has changed: setting it empties the canvas and takes time. */
function prepareIfNeeded(canvas, { canvasWidth, canvasHeight }, ratio) {
  const same = canvas.width === Math.round(canvasWidth * ratio) && canvas.height === Math.round(canvasHeight * ratio);
  if (same) return canvas.getContext("2d");
  canvas.style.width = `${canvasWidth}px`;
  canvas.style.height = `${canvasHeight}px`;
  return prepare(canvas, canvasWidth, canvasHeight, ratio);
}

/** Keep as many children as wanted, and let each show its part. */
function fill(parent, count, create, show) {
  while (parent.childElementCount < count) parent.append(create());
  while (parent.childElementCount > count) parent.lastElementChild.remove();
  [...parent.children].forEach(show);
}

function makeGuess() {
  return make("tr", {}, make("td"), make("td", {}, make("span"), make("span", { class: "lk-chance", "aria-hidden": "true" })));
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Hosts ----------------------------------------------------------------------------------------------------

/** In a page or a saved notebook: take the place of what stands there. */
export async function start(id, base64, state) {
  const block = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  for (const place of document.querySelectorAll(`[data-latentkit="${id}"]:not([data-started])`)) {
    place.dataset.started = "";
    const root = document.createElement("div");
    const data = await unpack(block);
    place.replaceChildren(root);
    new Explorer(root, data, state);
  }
}

/** As a widget: every choice is a trait. */
async function render({ model, el }) {
  const read = () => {
    const { buffer, byteOffset, byteLength } = model.get("data");
    return unpack(new Uint8Array(buffer, byteOffset, byteLength));
  };
  const state = Object.fromEntries(STATE.map((name) => [name, model.get(name)]));
  const root = el.appendChild(document.createElement("div"));
  const explorer = new Explorer(root, await read(), state, (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  });
  const listeners = STATE.map((name) => [`change:${name}`, () => explorer.update({ [name]: model.get(name) })]);
  listeners.push(["change:data", async () => explorer.load(await read())]);
  for (const [event, listener] of listeners) model.on(event, listener);
  return () => {
    for (const [event, listener] of listeners) model.off(event, listener);
    explorer.close();
  };
}

export default { render };
