// The classes' colours on the screen. What is on disk keeps DeepGlobe's, whose blue and magenta, and cyan and white, are
// hard to tell apart for some eyes. The safe palette is that of M. Okabe and K. Ito ('Color Universal Design', 2002,
// revised 2008) as far as it goes: its bluish green falls together with others for deuteranopes, so that forest has a
// dark green in its place, and barren has white. Every two of the six are at least 20 apart in CIELAB for normal sight,
// and for protanopia, deuteranopia and tritanopia as simulated after Machado, Oliveira and Fernandes (2009); DeepGlobe's
// own are down to 8. tests/browser/test_paint_modules.py measures it.

const SAFE = {
  urban: [213, 94, 0],
  agriculture: [240, 228, 66],
  rangeland: [204, 121, 167],
  forest: [0, 68, 27],
  water: [0, 114, 178],
  barren: [255, 255, 255],
};

export const PALETTES = { deepglobe: "DeepGlobe", safe: "Safe" };

/** [red, green, blue] by class index. */
export const paletteColours = (name, classes) => classes.map((known) => (name === "safe" ? SAFE[known.name] : known.colour));
