// folium loads plain scripts, one after the other; the rest of ours are modules. What Python says of the map comes
// through here (pages/components/tile_map.py): before the modules are there it waits, and only the newest is shown.
window.tilewrightMap = {
  show(map, state) {
    this.loading ??= import("/assets/components/map/main.js");
    this.state = state;
    this.loading.then(({ show }) => { if (this.state === state) show(map, state); });
  },
};
