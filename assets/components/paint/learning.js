// 'Learn while I paint': the switch, what the model is doing, how good it is on held-out tiles, and where the suggestion
// comes from. It asks the server, sooner after a saved stroke, and hands a new suggestion to the layer.

import { learningCurve } from "./learning_curve.js";

const TICK = 400, SOON = 800, FAST = 600, SLOW = 5000; // milliseconds between questions
const HURRY = 6000; // how long after a saved stroke it asks often
const FEW_TILES = 8; // below that an interval over tiles says little
const LIVE = "live";

export class Learning {
  /** `slot` is the element to stand in. */
  constructor(painter, slot) {
    Object.assign(this, { painter, slot, answer: null });
    slot.innerHTML = MARKUP;
    const find = (part) => slot.querySelector(`[data-learning=${part}]`);
    this.parts = Object.fromEntries(["switch", "state", "score", "curve", "source", "source-row", "shown", "strength"].map((part) => [part, find(part)]));
    this.parts.switch.addEventListener("change", () => this.#change("learning", { on: this.parts.switch.checked }));
    this.parts.source.addEventListener("change", () => this.#choose(this.parts.source.value));
    this.parts.shown.addEventListener("change", () => painter.suggestion.show(this.parts.shown.checked));
    this.parts.strength.addEventListener("input", () => painter.set({ suggestionOpacity: Number(this.parts.strength.value) }, true));
    this.clock = setInterval(() => this.#tick(), TICK);
    this.opened();
  }

  close() {
    clearInterval(this.clock);
  }

  /** Another tile is open. */
  opened() {
    Object.assign(this, { answer: null, trouble: null, sequence: null, askAt: 0, hurryUntil: 0, asking: false, round: {} });
    this.painter.suggestion?.opened();
    this.#show();
  }

  #tick() {
    const { painter } = this, now = performance.now();
    if (!painter.ready || !this.slot.isConnected || document.visibilityState === "hidden") return;
    const sequence = painter.state?.sequence ?? null;
    if (sequence !== this.sequence) { // a stroke was saved
      if (this.sequence !== null) this.askAt = now + SOON;
      this.hurryUntil = now + HURRY;
      this.sequence = sequence;
    }
    this.#showLooks();
    if (now >= this.askAt) this.#ask();
  }

  async #ask() {
    if (this.asking) return;
    await this.#take(async () => (await this.painter.get("suggestion.json")).json());
  }

  #change(path, body) {
    return this.#take(() => this.painter.post(path, body));
  }

  /** Back to the live head, or to a trained run, whose prediction may take a while to be made. */
  #choose(source) {
    this.parts.state.textContent = source === LIVE ? "Back to what is learnt here…" : `Asking run ${source} for its prediction…`;
    this.parts.state.dataset.look = "working";
    return this.#change("suggest", { run: source === LIVE ? null : source });
  }

  async #take(request) {
    const { round } = this;
    this.asking = true;
    try {
      const answer = await request();
      if (this.round !== round) return;
      this.answer = answer;
      await this.painter.suggestion.want(answer.suggestion);
      this.trouble = null;
    } catch (error) {
      if (this.round === round) this.trouble = error.status ? error.message : "The server does not answer; trying again.";
    } finally {
      if (this.round === round) {
        this.asking = false;
        const now = performance.now(), busy = this.answer?.state === "working" || now < this.hurryUntil;
        this.askAt = now + (busy ? FAST : SLOW);
        this.#show();
      }
    }
  }

  #show() {
    const { parts, answer } = this;
    parts.switch.disabled = !answer;
    parts.switch.checked = Boolean(answer?.learning);
    parts.state.textContent = this.trouble ?? (answer ? stateText(answer) : "Asking the server…");
    parts.state.dataset.look = this.trouble ? "trouble" : answer?.state ?? "waiting";
    parts.score.hidden = !answer?.score;
    parts.score.textContent = answer?.score ? scoreText(answer.score) : "";
    if (answer?.curve !== this.curve) parts.curve.innerHTML = learningCurve(answer?.curve ?? []);
    parts.curve.hidden = !parts.curve.innerHTML;
    this.curve = answer?.curve;
    this.#showSources();
  }

  #showLooks() {
    const { parts, painter: { settings } } = this;
    parts.shown.checked = settings.suggestionShown;
    parts.strength.disabled = !settings.suggestionShown;
    if (Number(parts.strength.value) !== settings.suggestionOpacity) parts.strength.value = settings.suggestionOpacity;
  }

  #showSources() {
    const { parts, answer } = this;
    const runs = answer?.runs ?? [], now = answer?.source ?? LIVE, run = now.replace(/^run: /, "");
    const isForeign = now !== LIVE && !runs.includes(run);
    const choices = [[LIVE, "Learnt here, live"], ...runs.map((name) => [name, `Run ${name}`]), ...(isForeign ? [[now, now]] : [])];
    const key = JSON.stringify(choices);
    if (this.choices !== key) {
      this.choices = key;
      parts.source.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    }
    parts.source.value = now === LIVE ? LIVE : isForeign ? now : run;
    parts["source-row"].hidden = choices.length < 2;
  }
}

const MARKUP = `
  <label class="learning-switch"><input type="checkbox" data-learning="switch"> Learn while I paint</label>
  <p class="learning-state" data-learning="state" role="status" data-testid="learning-state"></p>
  <p class="learning-score" data-learning="score" data-testid="learning-score"></p>
  <div data-learning="curve"></div>
  <div class="learning-looks"><label class="learning-switch"><input type="checkbox" data-learning="shown"> Suggestion</label>
    <input type="range" data-learning="strength" aria-label="Strength of the suggestion" min="0.1" max="1" step="0.05"></div>
  <label class="learning-source" data-learning="source-row">From <select data-learning="source" aria-label="Where the suggestion comes from"></select></label>`;

function stateText({ sentence, state, seconds }) {
  return state === "ready" && seconds !== null ? `${sentence} Took ${seconds.toFixed(1)}\u00a0s.` : sentence;
}

function scoreText({ miou, low, high, tiles }) {
  const interval = low === null || low === undefined ? "" : ` [${low.toFixed(2)}–${high.toFixed(2)}]`;
  const few = tiles < FEW_TILES ? `; ${tiles} ${tiles === 1 ? "tile is" : "tiles are"} few` : "";
  return `mIoU ${miou.toFixed(2)}${interval} on ${tiles} held-out ${tiles === 1 ? "tile" : "tiles"}${few}`;
}
