// The layers of the geographic map. Python sends the whole state on every rerun; what did not change stays as it is, so
// that a rerun neither reloads nor flickers. A layer with another address is laid over the old one until it is loaded.
(() => {
  const ORDER = ["base", "images", "opened", "overlay", "outlines", "graticule", "selected"]; // from below to above
  const NEAR = 8; // pixels of the screen

  let map = null;
  let clicks = 0;
  let state = {};
  const shown = {}; // by name: {address, layer}
  const old = {}; // by name: the layers before it, that stay until it is loaded
  let outline = null;
  let notice = null;

  function begin(asked) {
    map = window.map;
    ORDER.forEach((name, number) => {
      const pane = map.createPane(name);
      pane.style.zIndex = 210 + number;
      pane.style.pointerEvents = "none";
    });
    map.attributionControl?.setPrefix(false);
    L.control.scale({ position: "bottomright", imperial: false, maxWidth: 140 }).addTo(map);
    window.tilewrightGraticule.layer().addTo(map);
    window.tilewrightReadout(asked.at).addTo(map);
    buttons(asked.bounds).addTo(map);
    map.on("click", open);
  }

  // Beside the zoom: the whole collection, and the open tile.
  function buttons(bounds) {
    const control = L.control({ position: "topleft" });
    control.onAdd = () => {
      const box = L.DomUtil.create("div", "leaflet-bar");
      L.DomEvent.disableClickPropagation(box);
      const add = (sign, title, act) => {
        const button = L.DomUtil.create("a", "tw-button", box);
        Object.assign(button, { textContent: sign, title, href: "#", role: "button" });
        button.setAttribute("aria-label", title);
        L.DomEvent.on(button, "click", (event) => {
          L.DomEvent.stop(event);
          act();
        });
      };
      add("⤢", "Show all tiles", () => map.fitBounds(bounds, { padding: [24, 24] }));
      add("◎", "Go to the open tile", () => outline && map.fitBounds(outline.getBounds(), { padding: [24, 24] }));
      return box;
    };
    return control;
  }

  // A tile that is a dot on the map is hit by its neighbourhood.
  async function open(event) {
    const { lat, lng } = event.latlng.wrap();
    const reach = NEAR / (256 * 2 ** map.getZoom());
    clicks += 1;
    const number = clicks;
    const answer = await fetch(`${state.at}?longitude=${lng}&latitude=${lat}&reach=${reach}`).catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    tell(answer ? "" : "The server does not answer.");
    // The same tile may be clicked again after it was closed: the value has to be another each time.
    if (found && number === clicks) window.Streamlit.setComponentValue({ tile: found.tile, click: `${Date.now()}` });
  }

  // Puts `wanted` ({address, opacity, ...options}, or null for none) where the layer of that name was.
  function put(name, wanted) {
    const now = shown[name];
    if (wanted && now?.address === wanted.address) {
      now.layer.setOpacity(wanted.opacity);
      return;
    }
    if (now) (old[name] ??= []).push(now.layer);
    delete shown[name];
    const remove = () => old[name]?.splice(0).forEach((layer) => layer.remove());
    if (!wanted) {
      remove();
      return;
    }
    const { address, ...options } = wanted;
    const layer = L.tileLayer(address, { pane: name, keepBuffer: 3, ...options });
    layer.once("load", () => shown[name]?.layer === layer && remove());
    if (name === "base") {
      layer.on("tileerror", () => tell("The base map's server does not answer: is there a network?"));
      layer.on("tileload", () => tell(""));
    }
    layer.addTo(map);
    shown[name] = { address, layer };
  }

  function tell(text) {
    if (!notice && text) {
      notice = L.control({ position: "topright" });
      notice.onAdd = () => L.DomUtil.create("div", "tw-notice");
      notice.addTo(map);
    }
    if (notice) {
      notice.getContainer().textContent = text;
      notice.getContainer().hidden = !text;
    }
  }

  function select(ring) {
    outline?.remove();
    outline = null;
    if (!ring) return;
    outline = L.polygon(ring, { pane: "selected", className: "tw-selected", fill: false, weight: 3, interactive: false });
    outline.addTo(map);
    if (!map.getBounds().intersects(outline.getBounds())) map.fitBounds(outline.getBounds().pad(1));
  }

  function apply(asked) {
    if (!map) begin(asked);
    for (const name of ["base", "images", "opened", "overlay", "outlines"]) put(name, asked[name]);
    if (!asked.base) tell("");
    if (JSON.stringify(asked.selected) !== JSON.stringify(state.selected)) select(asked.selected);
    state = asked;
  }

  window.tilewrightGeo = { apply };
})();
