// The guided tour over the page: ten steps that ask for a prediction and compare it with what happens.

import { make, setText } from "../page/dom.js";
import { TOUR_STEPS } from "./steps.js";

/** @import { LivePage } from "./app.js" */

export class Tour {
  /** @param {LivePage} page */
  constructor(page) {
    this.page = page;
    this.index = 0;
    this.right = 0;
    this.heading = make("h2", { tabindex: "-1" });
    this.text = make("p");
    this.options = make("div", { class: "lv-options" });
    this.question = make("legend");
    this.fields = make("fieldset", {}, this.question, this.options);
    this.check = make("button", { type: "submit", class: "lv-run" }, "Predict and run");
    this.next = make(
      "button",
      { type: "button", hidden: true, onclick: () => this.goTo(this.index + 1) },
      "Next step",
    );
    this.back = make("button", { type: "button", onclick: () => this.goTo(this.index - 1) }, "Back");
    const end = make("button", { type: "button", onclick: () => this.close() }, "Leave the tour");
    this.verdict = make("p", { class: "lv-verdict", role: "status" });
    this.form = make(
      "form",
      { class: "lv-tour", hidden: true, "aria-label": "Guided tour" },
      ...[this.heading, this.text, this.fields],
      make("div", { class: "lv-row lv-actions" }, this.check, this.next, this.back, end),
      this.verdict,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.answer();
    });
    this.begin = make(
      "button",
      { type: "button", class: "lv-begin", onclick: () => this.open() },
      "Take the guided tour (ten steps, fifteen minutes)",
    );
    this.element = make("div", {}, this.begin, this.form);
  }

  open() {
    this.begin.hidden = true;
    this.form.hidden = false;
    this.right = 0;
    this.goTo(0);
  }

  close() {
    this.begin.hidden = false;
    this.form.hidden = true;
    this.begin.focus();
  }

  /** @param {number} index */
  goTo(index) {
    this.index = index;
    const step = TOUR_STEPS[index];
    setText(this.heading, `Step ${index + 1} of ${TOUR_STEPS.length}: ${step.title}`);
    setText(this.text, step.text);
    setText(this.question, step.question);
    const choices = step.options.map((text, value) => {
      const input = make("input", {
        type: "radio",
        name: "lv-prediction",
        value: String(value),
        required: true,
      });
      return make("label", {}, input, make("span", {}, text));
    });
    this.options.replaceChildren(...choices);
    setText(this.verdict, "");
    this.fields.disabled = false;
    this.check.hidden = false;
    this.next.hidden = true;
    this.back.hidden = index === 0;
    this.page.form.fill({ iterations: 64, seed: 0, ...step.settings });
    this.page.form.say("");
    this.heading.focus();
  }

  /** Run the step, and compare the prediction with what happened. */
  async answer() {
    const given = this.options.querySelector("input:checked");
    const step = TOUR_STEPS[this.index];
    if (!given || this.page.isRunning) return;
    this.fields.disabled = true;
    this.check.hidden = true;
    setText(this.verdict, "Running …");
    const { page } = this;
    let isDone = false;
    await page.guard(async () => {
      await (step.run ? step.run(page) : page.runForm());
      isDone = !page.isStopped;
    });
    if (!isDone) {
      setText(this.verdict, "The run was stopped. Predict again.");
      this.fields.disabled = false;
      this.check.hidden = false;
      return;
    }
    page.explorer?.update(step.view ? step.view(page.runs) : {});
    const { option, found } = step.judge(page.runs);
    const isRight = Number(/** @type {HTMLInputElement} */ (given).value) === option;
    this.right += Number(isRight);
    const ending =
      this.index === TOUR_STEPS.length - 1
        ? ` You predicted ${this.right} of ${TOUR_STEPS.length} right.`
        : "";
    const verdict = isRight ? "You predicted it." : `It came differently: ${step.options[option]}.`;
    setText(this.verdict, `${verdict} ${found} ${step.why}${ending}`);
    this.next.hidden = this.index === TOUR_STEPS.length - 1;
    if (!this.next.hidden) this.next.focus();
  }
}
