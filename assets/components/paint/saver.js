// What was drawn goes to the server in order, one request at a time. Each carries a key, so that one sent twice counts
// once. While the server is away, or somebody else holds the tile, nothing is lost: the queue waits, and keeps what
// waits in the browser's storage, from where the next visit takes it. It lives outside the canvas, so that leaving the
// page inside the app does not stop it.

import { annotator, newKey } from "./person.js";
import { UnsavedStrokes } from "./unsaved.js";

const FIRST_WAIT = 400, LONGEST_WAIT = 8000, PATIENCE = 20000; // milliseconds
const KEEPALIVE_BYTES = 30000; // browsers let small requests outlive their page
const LOCKED = 423;

const queues = new Map();

export function queueFor(server) {
  if (!queues.has(server.key)) queues.set(server.key, new SaveQueue(server));
  return queues.get(server.key);
}

class SaveQueue {
  constructor(server) {
    this.server = server;
    this.unsaved = new UnsavedStrokes(server.key);
    this.waiting = []; // {path, body (JSON), annotator, paint, guard}
    this.trouble = null; // a sentence, while the server does not take them
    this.held = null; // a sentence, while somebody else holds the tile
    this.listener = null; // {accept(reply, item), refused(sentence, item), held(), changed()}
    this.running = false;
  }

  /** `paint` ([{spans, classIndex}]) is what the canvas shows already, where `guard` let it be changed. */
  push(path, body, paint = [], guard = undefined) {
    const key = newKey();
    const item = { path, key, body: JSON.stringify({ ...body, client_key: key }), annotator: annotator(), paint, guard };
    this.waiting.push(item);
    this.unsaved.keep(item);
    this.start();
  }

  /** Take up what a visit before left unsaved: `restore(body)` gives the paint of one. Returns how many there were. */
  adopt(restore) {
    const known = new Set(this.waiting.map(({ key }) => key));
    const left = this.unsaved.left().filter(({ key }) => !known.has(key));
    this.waiting.unshift(...left.map((item) => ({ ...item, ...restore(item.path, JSON.parse(item.body)) })));
    this.start();
    return left.length;
  }

  /** Go on, also after the tile was held by somebody else. */
  start() {
    this.held = null;
    this.listener?.changed();
    if (!this.running && this.waiting.length > 0) this.#run();
  }

  /** Give up what waits, for good. */
  drop() {
    for (const item of this.waiting.splice(0)) this.unsaved.forget(item);
    this.held = null;
    this.listener?.changed();
  }

  /** Whether some of what waits could not be kept in the browser's storage. */
  get mayBeLost() {
    return this.waiting.length > 0 && !this.unsaved.keepsAll;
  }

  async #run() {
    this.running = true;
    let wait = FIRST_WAIT;
    while (this.waiting.length > 0 && !this.held) {
      const item = this.waiting[0];
      const { reply, refusal, trouble, held } = await this.#send(item);
      this.trouble = trouble ?? null;
      if (this.waiting[0] !== item) continue; // given up meanwhile
      if (trouble) {
        this.listener?.changed();
        await new Promise((resume) => setTimeout(resume, wait));
        wait = Math.min(LONGEST_WAIT, wait * 2);
        continue;
      }
      this.held = held ?? null;
      if (held) {
        this.listener?.held();
        break;
      }
      wait = FIRST_WAIT;
      this.waiting.shift();
      this.unsaved.forget(item);
      try {
        if (reply) await this.listener?.accept(reply, item);
        else await this.listener?.refused(refusal, item);
      } catch (error) {
        console.error("paint canvas: the answer could not be shown", error);
      }
      this.listener?.changed();
    }
    this.running = false;
    this.listener?.changed();
  }

  async #send(item) {
    const options = { annotator: item.annotator, keepalive: item.body.length < KEEPALIVE_BYTES, signal: AbortSignal.timeout(PATIENCE) };
    try {
      return { reply: await this.server.post(item.path, item.body, options) };
    } catch (error) {
      if (error.status === LOCKED) return { held: error.message };
      if (error.status && error.status < 500) return { refusal: error.message };
      return { trouble: error.status ? error.message : "server unreachable" };
    }
  }
}

window.addEventListener("beforeunload", (event) => {
  if ([...queues.values()].some((queue) => queue.mayBeLost)) event.preventDefault();
});
