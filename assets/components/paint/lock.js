// Who labels the tile just now. The lock belongs to this tab, is renewed while the tile is open, and ends by itself
// half a minute after the last renewal; see core/labels/tile_locks.py.

const RENEW_EVERY = 10_000; // milliseconds

export class Lock {
  /** `changed(was)` is called when somebody else takes the tile, or gives it back: `was` is what `mine` was. */
  constructor(server, changed) {
    Object.assign(this, { server, changed, mine: null, holder: null, status: null, work: null, closed: false });
    this.clock = setInterval(() => this.renew(), RENEW_EVERY);
    this.stop = new AbortController();
    const { signal } = this.stop;
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.renew(), { signal });
    window.addEventListener("pagehide", () => this.release(), { signal });
    window.addEventListener("pageshow", () => this.renew(), { signal });
    this.renew();
  }

  /** Whether somebody else holds the tile. */
  get taken() {
    return this.mine === false;
  }

  renew() {
    return this.#ask(false);
  }

  takeOver() {
    return this.#ask(true);
  }

  async #ask(takeOver) {
    const was = this.mine;
    try {
      const { mine, holder, status, comment } = await this.server.post("lock", { take_over: takeOver });
      if (this.closed) return;
      Object.assign(this, { mine, holder, status, work: `${status}\n${comment}` }); // as pages/label.py writes it
    } catch {
      return; // the server is away: its word stands until it is back
    }
    this.changed(was);
  }

  release() {
    if (this.mine) this.server.post("unlock", {}, { keepalive: true }).catch(() => {}); // it ends by itself too
  }

  close() {
    this.closed = true;
    clearInterval(this.clock);
    this.stop.abort();
    this.release();
  }
}
