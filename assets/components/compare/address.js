// What is looked at, in the page's address, so that a view can be shared, reloaded and gone back to.

const SIDES = ["a", "b"];

/** {tile, a: {run, facts}, b, panels, mode}; what the address does not say is missing. */
export function readAddress() {
  const query = new URLSearchParams(window.location.search), found = {};
  if (/^\d+$/.test(query.get("tile") ?? "")) found.tile = Number(query.get("tile"));
  for (const letter of SIDES) {
    const run = query.get(letter);
    if (run) found[letter] = { run, facts: parse(query.get(`${letter}_switches`)) };
  }
  if (query.get("panels")) found.panels = query.get("panels").split(",");
  if (query.get("mode")) found.mode = query.get("mode");
  return found;
}

export function writeAddress({ tile, sides, panels, mode }) {
  const query = new URLSearchParams({ tile: tile.id });
  for (const letter of SIDES) {
    query.set(letter, sides[letter].run);
    if (Object.keys(sides[letter].facts).length) query.set(`${letter}_switches`, JSON.stringify(sides[letter].facts));
  }
  query.set("panels", [...panels].join(","));
  if (mode !== "panels") query.set("mode", mode);
  window.history.replaceState(window.history.state, "", `${window.location.pathname}?${query}`);
}

function parse(text) {
  try {
    const facts = JSON.parse(text || "{}");
    return facts && typeof facts === "object" && !Array.isArray(facts) ? facts : {};
  } catch {
    return {};
  }
}
