// The worker that holds the model, as seen from the page: one call after the other, with reports on the way.

/**
 * @typedef {object} Facts What the worker says of its model once it is loaded.
 * @property {string} name
 * @property {string[]} texts Text of every token of the vocabulary.
 * @property {"wasm" | "javascript"} kernel
 * @property {number} hidden
 * @property {number} vocab
 * @property {number} contextLength
 */

/** @typedef {(part: any) => void} Listener Called with each report of a run. */

export class Engine {
  /** @param {string} source Script of the worker. */
  constructor(source) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => this.fail(event.message);
    this.count = 0;
    /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, listen: Listener }>} */
    this.calls = new Map();
    /** @type {Promise<unknown>} */
    this.queue = Promise.resolve();
  }

  /**
   * Load the model. Texts in base64 are decoded in the worker, which keeps the page free.
   * @param {string} model @param {string | null} kernel null: plain JavaScript.
   * @returns {Promise<Facts>}
   */
  load(model, kernel) {
    return this.call("load", { model, kernel });
  }

  /**
   * Ask the worker for something, after everything that it was asked before.
   * @param {string} kind @param {Record<string, unknown>} request @param {Listener} [listen]
   * @returns {Promise<any>}
   */
  call(kind, request, listen = () => {}) {
    const answer = this.queue.then(
      () =>
        new Promise((resolve, reject) => {
          this.count += 1;
          this.calls.set(this.count, { resolve, reject, listen });
          this.worker.postMessage({ ...request, kind, id: this.count });
        }),
    );
    this.queue = answer.catch(() => {});
    return answer;
  }

  /** End the run that is going on; what it has found so far is its result. */
  stop() {
    this.worker.postMessage({ kind: "stop", id: this.count });
  }

  /** @param {any} message */
  receive(message) {
    const call = this.calls.get(message.id);
    if (!call) return;
    if (message.kind === "done") call.resolve(message.result);
    else if (message.kind === "failed") call.reject(new Error(message.message));
    else call.listen(message);
    if (message.kind === "done" || message.kind === "failed") this.calls.delete(message.id);
  }

  /** @param {string} reason */
  fail(reason) {
    for (const { reject } of this.calls.values()) reject(new Error(reason));
    this.calls.clear();
  }
}
