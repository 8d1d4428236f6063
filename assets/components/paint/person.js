// Who paints: a name a person gives once a browser, and a key that tells this tab from the person's others. Both go
// with every request about labels. The name is in a cookie too, so that the pages know it.

const NAME = "tilewright.annotator", COOKIE = "tilewright_annotator", TAB = "tilewright.tab";
const LETTERS = 40, YEAR = 365 * 24 * 3600;

export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** The name, or "" where none was given. */
export function annotator() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

export function setAnnotator(text) {
  const name = text.replace(/\s+/g, " ").trim().slice(0, LETTERS);
  try {
    localStorage.setItem(NAME, name);
  } catch { /* a browser that keeps nothing asks again next time */ }
  document.cookie = `${COOKIE}=${encodeURIComponent(name)}; path=/; SameSite=Lax; max-age=${name ? YEAR : 0}`;
}

/** The tab's key. It is put away only while the page is gone, so that a copy of the tab does not inherit it. */
const tabKey = (() => {
  let key = null;
  try {
    key = sessionStorage.getItem(TAB);
    sessionStorage.removeItem(TAB);
    window.addEventListener("pagehide", () => sessionStorage.setItem(TAB, key));
    window.addEventListener("pageshow", () => sessionStorage.removeItem(TAB)); // back from the history
  } catch { /* no storage: a new key with every load */ }
  key ??= newKey();
  return key;
})();

/** The headers of a request in this person's name, or in the name of who drew what is sent only now. */
export const personHeaders = (name = annotator()) => ({
  "X-Tilewright-Annotator": encodeURIComponent(name),
  "X-Tilewright-Tab": tabKey,
});
