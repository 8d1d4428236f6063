// Asks region_worker.js: one worker for the page, started with the first question.

const waiting = new Map(); // number of the question -> {resolve, reject}
let worker = null, asked = 0;

/** Resolves with what the worker answers to one of its tasks. */
export function ask(task, input) {
  worker ??= started();
  const number = asked++;
  return new Promise((resolve, reject) => {
    waiting.set(number, { resolve, reject });
    worker.postMessage({ number, task, input });
  });
}

function started() {
  const made = new Worker(new URL("./region_worker.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { number, answer, error } }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (error) reject(new Error(error));
    else resolve(answer);
  };
  made.onerror = (event) => { // it did not start: say so to everybody, and try again with the next question
    worker = null;
    for (const { reject } of waiting.values()) reject(new Error(`the region worker failed: ${event.message ?? "not loaded"}`));
    waiting.clear();
  };
  return made;
}
