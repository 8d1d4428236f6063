// The classes' colours on the screen, as core/screen_colours.py has them: DeepGlobe's, or ones that are safe for
// colour-blind eyes. What is on disk keeps DeepGlobe's.

export const PALETTES = { deepglobe: "DeepGlobe", safe: "Safe" };

/** [red, green, blue] by class index. */
export const paletteColours = (name, classes) => classes.map((known) => (name === "safe" ? known.safe : known.colour));
