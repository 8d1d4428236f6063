// How the image is shown: brightness and contrast (-1 to 1), gamma, or one band alone in grey. For the eye only; labels
// and models see the image as it is. Each square of the pyramid is adjusted once and kept, so that moving costs nothing.

export const isPlain = ({ brightness, contrast, gamma, band }) => brightness === 0 && contrast === 0 && gamma === 1 && band === "all";

/** What each of the 256 values becomes. */
export function lookupTable({ brightness, contrast, gamma }) {
  const slope = contrast < 0 ? 1 + contrast : 1 / Math.max(0.02, 1 - contrast);
  return Uint8ClampedArray.from({ length: 256 }, (_, value) => {
    const moved = (value / 255 - 0.5) * slope + 0.5 + brightness;
    return 255 * Math.min(1, Math.max(0, moved)) ** (1 / gamma);
  });
}

/** A canvas with the adjusted image. */
export function adjusted(image, settings, table) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height), { data } = picture;
  const band = ["red", "green", "blue"].indexOf(settings.band);
  for (let at = 0; at < data.length; at += 4) {
    if (band >= 0) data[at] = data[at + 1] = data[at + 2] = table[data[at + band]];
    else {
      data[at] = table[data[at]];
      data[at + 1] = table[data[at + 1]];
      data[at + 2] = table[data[at + 2]];
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
