// What lies under the pointer: longitude and latitude from the map itself, and from the server the tile, the
// coordinates in the tile's own CRS and the pixel. Only the last question in flight counts.
(() => {
  const PAUSE = 60; // milliseconds for which the pointer rests before the server is asked

  const degrees = (value, positive, negative) => `${Math.abs(value).toFixed(6)}° ${value >= 0 ? positive : negative}`;

  const grouped = (value, digits) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replaceAll(",", " ");

  function tileText(found) {
    const digits = Math.abs(found.x) <= 360 && Math.abs(found.y) <= 90 ? 6 : 1;
    const place = `${found.crs}  ${grouped(found.x, digits)}, ${grouped(found.y, digits)}`;
    return `${found.name} · ${place} · pixel ${Math.floor(found.column)}, ${Math.floor(found.row)}`;
  }

  const Readout = L.Control.extend({
    options: { position: "bottomleft", address: "" },

    onAdd(map) {
      const box = L.DomUtil.create("div", "tw-readout");
      this.point = L.DomUtil.create("div", "", box);
      this.tile = L.DomUtil.create("div", "tw-readout-tile", box);
      this.say("Move over the map to read coordinates", "");
      map.on("mousemove", this.moved, this);
      map.on("mouseout", this.left, this);
      return box;
    },

    onRemove(map) {
      map.off("mousemove", this.moved, this);
      map.off("mouseout", this.left, this);
      this.cancel();
    },

    say(point, tile) {
      this.point.textContent = point;
      this.tile.textContent = tile;
    },

    cancel() {
      clearTimeout(this.waiting);
      this.question?.abort();
    },

    left() {
      this.cancel();
      this.say("Move over the map to read coordinates", "");
    },

    moved(event) {
      const { lat, lng } = event.latlng.wrap();
      this.point.textContent = `${degrees(lat, "N", "S")}, ${degrees(lng, "E", "W")}`;
      this.cancel();
      this.waiting = setTimeout(() => this.ask(lng, lat), PAUSE);
    },

    async ask(longitude, latitude) {
      this.question = new AbortController();
      try {
        const answer = await fetch(`${this.options.address}?longitude=${longitude}&latitude=${latitude}`, {
          signal: this.question.signal,
        });
        const found = answer.ok ? await answer.json() : null;
        this.tile.textContent = found ? tileText(found) : "no tile here";
      } catch (error) {
        if (error.name !== "AbortError") this.tile.textContent = "the server does not answer";
      }
    },
  });

  window.tilewrightReadout = (address) => new Readout({ address });
})();
