// The way to the routes of one sheet: a tile's labels, or one's own second opinion on it.

import { annotator, personHeaders } from "./person.js";

export class Server {
  constructor(baseUrl, tile, opinion) {
    Object.assign(this, { baseUrl, tile, opinion });
    // The sheet's name in this browser: another workspace at the same address has other tiles under the same numbers.
    this.key = `${baseUrl}/labels/${tile.id}@${tile.version}${opinion ? `?opinion=${annotator()}` : ""}`;
  }

  /** The address of a route of the sheet ("state.json"), or of any other where `name` begins with a slash. */
  address(name) {
    if (name.startsWith("/")) return this.baseUrl + name;
    const asks = name.includes("?") ? "&" : "?";
    return `${this.baseUrl}/labels/${this.tile.id}/${name}${this.opinion ? `${asks}opinion=1` : ""}`;
  }

  /** Resolves to the Response; rejects with the server's sentence, and its `status`, where it is no success. */
  get(name) {
    return answered(fetch(this.address(name), { headers: personHeaders(), cache: "no-cache" }));
  }

  /** Resolves to the parsed answer; rejects as `get` does. */
  async post(name, body, options = {}) {
    const headers = { "Content-Type": "application/json", ...personHeaders(options.annotator) };
    const { keepalive = false, signal } = options;
    const sent = fetch(this.address(name), { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body), keepalive, signal });
    return (await answered(sent)).json();
  }
}

async function answered(request) {
  const response = await request;
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(error ?? `The server answered ${response.status}.`), { status: response.status });
}
