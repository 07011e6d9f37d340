// Starts the live page: the worker, the model, the form, and what scripts may call.

import { make } from "../page/dom.js";
import { unpack } from "../trace/data.js";
import { scripting } from "./api.js";
import { LivePage } from "./app.js";
import { Engine } from "./engine.js";
import { Tour } from "./tour.js";

const DAMAGED = "This page is damaged or cut off. Save or download it again.";

/** Text of an element that holds data. @param {string} id */
function textOfElement(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(DAMAGED);
  return element.textContent ?? "";
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
}

async function startPage() {
  const loading = document.getElementById("lv-loading");
  try {
    textOfElement("lv-end"); // the last element: without it the file is not whole
    const settings = JSON.parse(textOfElement("lv-settings"));
    const plain = location.hash.includes("javascript"); // for tests and measurements
    const engine = new Engine(textOfElement("lv-worker"));
    const ready = engine.load(textOfElement("lv-model"), plain ? null : textOfElement("lv-kernel"));
    /** @type {any} */ (window).latentkit = scripting(engine, ready);
    const template = await unpack(bytesOf(settings.template));
    const page = new LivePage(settings, template, engine, await ready);
    const tour = new Tour(page);
    const main = document.querySelector("main") ?? document.body;
    main.append(tour.element, page.form.element, page.place, page.saving);
    loading?.remove();
    main.append(make("p", { class: "lv-note" }, engineNote(await ready)));
    await page.prepare();
    if (settings.guided || location.hash.includes("guided")) tour.open();
    else await page.guard(() => page.runForm());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (loading) Object.assign(loading, { textContent: reason }).setAttribute("role", "alert");
  }
}

/** @param {import("./engine.js").Facts} facts */
function engineNote({ kernel, hidden, vocab, contextLength }) {
  const how =
    kernel === "wasm" ? "WebAssembly" : "plain JavaScript, because WebAssembly SIMD is not available";
  return `${hidden} channels, ${vocab} tokens in the vocabulary, at most ${contextLength} tokens of text; computed with ${how}.`;
}

startPage();
