// Lines of longitude and latitude with their degrees at the map's edges, at a step that suits the zoom. Drawn here from
// the map's own bounds: it needs no server.
(() => {
  const STEPS = [30, 20, 10, 5, 2, 1]; // degrees; below, 0.5, 0.2, 0.1, 0.05 and so on
  const APART = 110; // pixels between lines, at least

  const CORNER = 70; // pixels at the upper right in which labels of both would meet

  function stepFor(degreesPerPixel) {
    const wanted = degreesPerPixel * APART;
    let best = STEPS[0];
    const steps = [...STEPS];
    for (let power = 0.1; power > 1e-7; power /= 10) steps.push(5 * power, 2 * power, power);
    for (const step of steps) if (step >= wanted) best = step;
    return best;
  }

  function named(value, step, positive, negative) {
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const size = Math.abs(value).toFixed(digits);
    return Number(size) === 0 ? "0°" : `${size}° ${value > 0 ? positive : negative}`;
  }

  function label(point, text, side) {
    const icon = L.divIcon({ className: `tw-graticule tw-graticule-${side}`, html: `<span>${text}</span>`, iconSize: null });
    return L.marker(point, { icon, interactive: false, keyboard: false, pane: "graticule" });
  }

  const Graticule = L.LayerGroup.extend({
    onAdd(map) {
      L.LayerGroup.prototype.onAdd.call(this, map);
      map.on("moveend resize", this.draw, this);
      this.draw();
    },

    onRemove(map) {
      map.off("moveend resize", this.draw, this);
      L.LayerGroup.prototype.onRemove.call(this, map);
    },

    draw() {
      const map = this._map;
      const size = map.getSize();
      if (size.x === 0) return;
      this.clearLayers();
      const view = map.getBounds();
      const [west, east] = [view.getWest(), view.getEast()];
      const [south, north] = [Math.max(-85, view.getSouth()), Math.min(85, view.getNorth())];
      const stepX = stepFor((east - west) / size.x);
      const stepY = stepFor((north - south) / size.y);
      const { lat: top, lng: right } = map.containerPointToLatLng([size.x, 0]);
      for (let n = Math.ceil(west / stepX); n * stepX <= east; n += 1) {
        const longitude = n * stepX;
        this.line([[south, longitude], [north, longitude]]);
        const shown = ((((longitude + 180) % 360) + 360) % 360) - 180;
        if (map.latLngToContainerPoint([0, longitude]).x < size.x - CORNER) {
          this.addLayer(label([Math.min(top, 85), longitude], named(shown, stepX, "E", "W"), "top"));
        }
      }
      for (let n = Math.ceil(south / stepY); n * stepY <= north; n += 1) {
        const latitude = n * stepY;
        this.line([[latitude, west], [latitude, east]]);
        if (map.latLngToContainerPoint([latitude, right]).y > CORNER / 2) {
          this.addLayer(label([latitude, right], named(latitude, stepY, "N", "S"), "right"));
        }
      }
    },

    line(points) {
      this.addLayer(
        L.polyline(points, { pane: "graticule", className: "tw-graticule-line", weight: 1, interactive: false, noClip: true }),
      );
    },
  });

  window.tilewrightGraticule = { layer: () => new Graticule(), stepFor, named };
})();
