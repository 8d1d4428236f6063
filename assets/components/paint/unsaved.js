// Strokes that are not on the server's disk yet, kept in the browser's storage: one entry a stroke, so that a long
// queue costs no more a stroke than a short one. Bounded, since the storage is.

const PREFIX = "tilewright.unsaved/";
const MOST_STROKES = 500, MOST_LETTERS = 3_000_000; // of the 5 million that browsers allow a site

export class UnsavedStrokes {
  /** `sheet` names the tile (and opinion) in this browser. */
  constructor(sheet) {
    this.prefix = `${PREFIX}${sheet}/`;
    this.kept = new Map(); // the stroke's key -> its entry's name and length
    this.letters = 0;
    this.keepsAll = true;
  }

  keep({ path, key, body, annotator }) {
    const name = `${this.prefix}${String(Date.now()).padStart(15, "0")}/${String(this.#next++).padStart(6, "0")}`;
    const text = JSON.stringify({ path, key, body, annotator });
    const fits = this.kept.size < MOST_STROKES && this.letters + text.length < MOST_LETTERS;
    try {
      if (fits) localStorage.setItem(name, text);
      this.keepsAll &&= fits;
    } catch {
      this.keepsAll = false;
      return;
    }
    if (fits) this.#count(key, name, text.length);
  }

  #next = 0;

  forget({ key }) {
    const entry = this.kept.get(key);
    if (entry) {
      localStorage.removeItem(entry.name);
      this.kept.delete(key);
      this.letters -= entry.length;
    }
    if (this.kept.size === 0) this.keepsAll = true;
  }

  /** What a visit before left, in the order in which it was drawn. */
  left() {
    const names = [];
    try {
      for (let i = 0; i < localStorage.length; i++) if (localStorage.key(i).startsWith(this.prefix)) names.push(localStorage.key(i));
    } catch {
      return [];
    }
    return names.sort().flatMap((name) => {
      const item = readEntry(name);
      if (item && !this.kept.has(item.key)) this.#count(item.key, name, 0);
      return item ? [item] : [];
    });
  }

  #count(key, name, length) {
    this.kept.set(key, { name, length });
    this.letters += length;
  }
}

function readEntry(name) {
  try {
    const { path, key, body, annotator } = JSON.parse(localStorage.getItem(name));
    JSON.parse(body);
    return { path, key, body, annotator };
  } catch {
    return null; // not ours
  }
}
