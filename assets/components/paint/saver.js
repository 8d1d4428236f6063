// What was drawn goes to the server in order, one request at a time. Each carries a key, so that one sent twice counts
// once. While the server is away nothing is lost: the queue waits and tries again. It lives outside the canvas, so
// that leaving the page inside the app does not stop it; leaving the app asks first, while something is unsaved.

const FIRST_WAIT = 400, LONGEST_WAIT = 8000, PATIENCE = 20000; // milliseconds
const KEEPALIVE_BYTES = 30000; // browsers let small requests outlive their page

const queues = new Map();

export function queueFor(baseUrl, tileId) {
  const address = `${baseUrl}/labels/${tileId}`;
  if (!queues.has(address)) queues.set(address, new SaveQueue(address));
  return queues.get(address);
}

export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

class SaveQueue {
  constructor(address) {
    this.address = address;
    this.waiting = []; // {path, body, paint}
    this.trouble = null; // a sentence, while the server does not take them
    this.listener = null; // {accept(reply, item), refused(sentence, item), changed()}
    this.running = false;
  }

  /** `paint` ({spans, classIndex}) is what the canvas shows already, or null. */
  push(path, body, paint) {
    this.waiting.push({ path, body: JSON.stringify({ ...body, client_key: newKey() }), paint });
    this.listener?.changed();
    if (!this.running) this.#run();
  }

  async #run() {
    this.running = true;
    let wait = FIRST_WAIT;
    while (this.waiting.length > 0) {
      const item = this.waiting[0];
      const { reply, refusal, trouble } = await this.#send(item);
      this.trouble = trouble ?? null;
      if (trouble) {
        this.listener?.changed();
        await new Promise((resume) => setTimeout(resume, wait));
        wait = Math.min(LONGEST_WAIT, wait * 2);
        continue;
      }
      wait = FIRST_WAIT;
      this.waiting.shift();
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
    try {
      const response = await fetch(`${this.address}/${item.path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: item.body,
        keepalive: item.body.length < KEEPALIVE_BYTES,
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (response.ok) return { reply: await response.json() };
      const sentence = (await response.json().catch(() => ({}))).error ?? `The server answered ${response.status}.`;
      return response.status < 500 ? { refusal: sentence } : { trouble: sentence };
    } catch {
      return { trouble: "server unreachable" };
    }
  }
}

window.addEventListener("beforeunload", (event) => {
  if ([...queues.values()].some((queue) => queue.waiting.length > 0)) event.preventDefault();
});
