// The side panel's part for looks: the labels' opacity and colours, and the image's brightness, contrast, gamma or
// single band. For the eye only.

import { Options } from "./options.js";
import { PALETTES } from "./palettes.js";
import { isPlain } from "./image_adjustment.js";

const BANDS = [["all", "RGB"], ["red", "R"], ["green", "G"], ["blue", "B"]];

export class ViewSection {
  constructor(root, painter) {
    this.painter = painter;
    root.className = "looks";
    this.options = new Options(root);
  }

  update() {
    const { painter } = this, { opacity, palette, image } = painter.settings;
    const percent = (value) => `${value > 0 ? "+" : ""}${Math.round(value * 100)}`;
    const slider = (name, label, min, max) => ({
      kind: "range", label, min, max, step: 0.02, value: image[name], text: percent(image[name]), set: (value) => painter.adjustImage({ [name]: value }),
    });
    this.options.update([
      { kind: "range", label: "Labels", name: "Label opacity", min: 5, max: 100, step: 1, value: Math.round(opacity * 100), text: `${Math.round(opacity * 100)} %`, keys: "Shift+[ and Shift+]", set: (value) => painter.setOpacity(value / 100) },
      { kind: "choice", label: "Colours", name: "Colours: DeepGlobe's, or safe for colour-blind eyes", keys: "K", value: palette, choices: Object.entries(PALETTES), set: (name) => painter.setPalette(name) },
      slider("brightness", "Brightness", -0.6, 0.6),
      slider("contrast", "Contrast", -0.8, 0.8),
      // Logarithmic: 1 is in the middle.
      { kind: "range", label: "Gamma", min: -1, max: 1, step: 0.02, value: Math.log(image.gamma) / Math.log(4), text: image.gamma.toFixed(2), set: (value) => painter.adjustImage({ gamma: 4 ** value }) },
      { kind: "choice", label: "Band", value: image.band, choices: BANDS, set: (band) => painter.adjustImage({ band }) },
      { kind: "button", label: "Image as it is", key: "Shift+I", enabled: !isPlain(image), run: () => painter.plainImage() },
    ]);
  }
}
